"""Outlive a supervisor that was killed, just long enough to stop what it had started."""

import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from deployments.local.environment import code_only
from deployments.local.layout import Layout
from deployments.local.record import read_record
from deployments.local.stopping import stop_recorded


@contextmanager
def guarded(place: Layout) -> Generator[None]:
    """Run a guardian beside the block: it wakes when this process ends, however it ends."""
    command = (sys.executable, "-m", "deployments.local.guardian", str(place.root))
    process = subprocess.Popen(  # noqa: S603
        command,
        env=dict(code_only()),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        process.communicate()


def guard(place: Layout) -> None:
    """Wait until the supervisor lets go of the other end of standard input, then stop what is still recorded."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.read()
    record = read_record(place.record)
    if record is not None:
        stop_recorded(record)


if __name__ == "__main__":
    guard(Layout(Path(sys.argv[1])))
