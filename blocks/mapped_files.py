"""What this process has mapped of files and need not hold in memory."""

import ctypes
import re
import sys
from pathlib import Path

LET_GO = 4  # MADV_DONTNEED of Linux's madvise: what is read again comes from the file again
AREA = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) \S{4} \S+ \S+ \d+\s*(.*)$")


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
