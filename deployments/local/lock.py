"""One KowAI per state directory."""

import fcntl
import json
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kowai.errors import CannotStart

GLANCE_SECONDS = 0.3  # `kowai status` holds the lock for a moment when it looks


@contextmanager
def held(path: Path) -> Generator[None]:
    """Hold the lock while the block runs; the kernel lets go of it when the process ends. Raises CannotStart."""
    with path.open("a+") as file:
        deadline = time.monotonic() + GLANCE_SECONDS
        while not _taken_by_us(file.fileno()):
            if time.monotonic() > deadline:
                raise CannotStart(_taken_sentence(path))
            time.sleep(0.05)
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "since": time.time()}))
        file.flush()
        yield


def is_held(path: Path) -> bool:
    try:
        with path.open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False


def holder(path: Path) -> dict[str, Any]:
    """Return the pid that holds or last held the lock and since when (Unix seconds); empty when nobody ever did."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}


def _taken_by_us(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _taken_sentence(path: Path) -> str:
    who = holder(path)
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(who["since"])) if "since" in who else "an unknown time"
    return (
        f"KowAI already runs on {path.parent.parent} (process {who.get('pid', 'unknown')}, since {since}). "
        "See `kowai status`; stop it with `kowai down`, or start a second one with its own KOWAI_STATE and ports."
    )
