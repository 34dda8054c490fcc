"""Start KowAI without a terminal and stop it from another one."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import typer

from deployments.local.layout import Layout, configured, make_folders
from deployments.local.lock import is_held
from deployments.local.preparation import clear_leftovers
from deployments.local.processes import trim
from deployments.local.record import find_process, read_record
from deployments.local.stack import python
from deployments.local.stopping import wait_until_gone
from deployments.local.welcome import greet
from kowai.errors import CannotStart

LOOK_SECONDS = 0.1
STOP_LIMIT_SECONDS = 120.0
NOT_RUNNING = "KowAI is not running on this state directory."


def run_in_background(place: Layout, *, bare: bool) -> None:
    """Start `kowai up` in a session of its own, show what it says and return when it is ready."""
    make_folders(place)
    log = place.log("kowai")
    trim(log)
    arguments = ("--detached", "--state", str(place.root), *(("--bare",) if bare else ()))
    with log.open("ab") as output:
        begin = output.tell()
        process = subprocess.Popen(  # noqa: S603
            python("deployments.cli", "up", *arguments),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        follow(process, place, log, begin)
    except KeyboardInterrupt:
        process.send_signal(signal.SIGTERM)
        process.wait()
        raise
    greet(place, configured())


def follow(process: subprocess.Popen[bytes], place: Layout, log: Path, begin: int) -> None:
    """Copy the log from byte `begin` on to this terminal until KowAI is ready; exit with it when it ends before."""
    with log.open("rb") as file:
        file.seek(begin)
        while True:
            ended, ready = process.poll(), is_ready(place, process.pid)
            sys.stdout.write(file.read().decode(errors="replace"))
            sys.stdout.flush()
            if ended is not None:
                raise typer.Exit(ended or 1)
            if ready:
                return
            time.sleep(LOOK_SECONDS)


def is_ready(place: Layout, pid: int) -> bool:
    record = read_record(place.record)
    return record is not None and record.pid == pid and record.phase == "ready"


def stop_running(place: Layout) -> None:
    """Stop the KowAI of this state directory and wait for it, or clear what a killed one left. Raises CannotStart."""
    record = read_record(place.record)
    process = find_process(record.pid, record.born) if record and is_held(place.lock) else None
    if process is None:
        left = clear_leftovers(place)
        typer.echo(f"Stopped {', '.join(left)}, left over from a KowAI that was killed." if left else NOT_RUNNING)
        return
    typer.echo(f"Stopping KowAI (process {process.pid}) ...")
    process.terminate()
    if not wait_until_gone([process], STOP_LIMIT_SECONDS, hurry=lambda: False):
        raise CannotStart(f"KowAI has not stopped after {STOP_LIMIT_SECONDS:.0f} s: look at {place.root / 'logs'}.")
    typer.echo("KowAI has stopped.")
