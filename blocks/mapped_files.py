"""What this process has mapped of files and need not hold in memory."""

import asyncio
import ctypes
import re
import sys
import time
from pathlib import Path

USED_SECONDS = 60.0  # after which pages that were read once are let go of
LET_GO = 4  # MADV_DONTNEED of Linux's madvise: what is read again comes from the file again
AREA = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) \S{4} \S+ \S+ \d+\s*(.*)$")


class MappedFolder:
    """Hold the pages mapped from the files in a folder for a minute at a time while they are used."""

    def __init__(self, folder: Path, seconds: float = USED_SECONDS) -> None:
        self._folder, self._seconds, self._until = folder, seconds, 0.0

    def use(self) -> None:
        """Let go of the pages in a minute, unless that is settled already."""
        now = time.monotonic()
        if now >= self._until:
            self._until, loop = now + self._seconds, asyncio.get_running_loop()
            loop.call_later(self._seconds, loop.run_in_executor, None, let_go, self._folder)


def let_go(folder: Path) -> None:
    """Let go of the pages mapped from the files in a folder; those written to since stay."""
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None)
    for start, end in _areas(Path("/proc/self/smaps").read_text(), f"{folder.resolve()}/"):
        library.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), LET_GO)


def _areas(smaps: str, within: str) -> list[tuple[int, int]]:
    """Return where files of the folder are mapped whose pages are all as in the file."""
    found: list[tuple[int, int]] = []
    area: re.Match[str] | None = None
    for line in smaps.splitlines():
        if matched := AREA.match(line):
            area = matched
        elif line.startswith("Anonymous:") and area and area[3].startswith(within) and line.split()[1] == "0":
            found.append((int(area[1], 16), int(area[2], 16)))
    return found
