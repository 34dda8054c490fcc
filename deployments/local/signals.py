"""Requests to stop: Ctrl-C, SIGTERM, a closed terminal; the second one hurries."""

import signal
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequests:
    """Count what asks this process to stop."""

    def __init__(self) -> None:
        self.count = 0

    def wanted(self) -> bool:
        return self.count > 0

    def hurried(self) -> bool:
        return self.count > 1

    def note(self, number: int, frame: FrameType | None) -> None:
        self.count += 1


@contextmanager
def stop_requests() -> Generator[StopRequests]:
    """Count stop signals while the block runs, instead of dying of the first."""
    requests = StopRequests()
    before = {number: signal.signal(number, requests.note) for number in STOPPING}
    try:
        yield requests
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
