"""End a process and everything it started: politely, then firmly, always within a bound."""

import contextlib
import signal
import time
from collections.abc import Callable, Sequence

import psutil

from deployments.local.record import ProcessRecord, StackRecord, find_process

PATIENCE_SECONDS = 15.0
HURRIED_SECONDS = 1.0
FIRM = {signal.SIGINT: signal.SIGQUIT}  # PostgreSQL's "fast" becomes "immediate"; every other process is killed


def stop_process(
    process: psutil.Process,
    stop_signal: int = signal.SIGTERM,
    *,
    patience: float = PATIENCE_SECONDS,
    hurry: Callable[[], bool] = lambda: False,
) -> None:
    """Stop one process and its descendants, each step after `patience` seconds, or one second once in a hurry."""
    family = descendants(process)
    firm = FIRM.get(signal.Signals(stop_signal), signal.SIGKILL)
    for step in (stop_signal, firm, signal.SIGKILL):
        send(process, step)
        if wait_until_gone([process], patience, hurry):
            break
    for step in (signal.SIGTERM, signal.SIGKILL):
        for orphan in family:
            send(orphan, step)
        if wait_until_gone(family, patience / 3, hurry):
            return


def stop_recorded(record: StackRecord) -> list[str]:
    """Stop what is left of a recorded stack, last started first; return the names of what was still there."""
    return [process.name for process in reversed(record.processes) if _stop_if_there(process)]


def descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def send(process: psutil.Process, number: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def wait_until_gone(processes: Sequence[psutil.Process], patience: float, hurry: Callable[[], bool]) -> bool:
    """Return whether all have ended within `patience` seconds, or within one second once in a hurry."""
    began = time.monotonic()
    while any(map(lives, processes)):
        if time.monotonic() - began > (min(patience, HURRIED_SECONDS) if hurry() else patience):
            return False
        time.sleep(0.02)
    return True


def lives(process: psutil.Process) -> bool:
    """Tell a running process from one that has ended and only waits to be reaped."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _stop_if_there(record: ProcessRecord) -> bool:
    process = find_process(record.pid, record.born)
    if process is not None:
        stop_process(process, record.stop_signal)
    return process is not None
