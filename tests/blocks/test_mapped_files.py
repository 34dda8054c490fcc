"""Letting go of pages that a process has mapped of files, on real mappings."""

import asyncio
import mmap
import re
import sys
from pathlib import Path

import pytest

from blocks.mapped_files import MappedFolder, let_go

SIZE = 1 << 22
MOST_SECONDS = 30
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what is resident")


def mapped(path: Path) -> mmap.mmap:
    path.write_bytes(b"weights!" * (SIZE // 8))
    with path.open("r+b") as file:
        area = mmap.mmap(file.fileno(), SIZE, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    assert sum(area[:: mmap.PAGESIZE]) > 0, "every page is read"
    return area


def resident(path: Path) -> int:
    """Return how many kilobytes of a file this process holds."""
    areas = re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text())
    kept = [re.search(r"Rss:\s+(\d+) kB", area) for area in areas if str(path) in area.partition("\n")[0]]
    return sum(int(found[1]) for found in kept if found)


def test_pages_of_the_folder_are_let_go_and_read_again_when_they_are_needed(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    inside, outside = tmp_path / "model" / "weights", tmp_path / "other"
    area, other = mapped(inside), mapped(outside)
    let_go(tmp_path / "model")
    assert resident(inside) == 0
    assert resident(outside) == SIZE // 1024
    assert area[:8] == other[:8] == b"weights!"


def test_what_was_written_to_a_mapping_stays(tmp_path: Path) -> None:
    area = mapped(tmp_path / "weights")
    area[:8] = b"changed!"
    let_go(tmp_path)
    assert area[:8] == b"changed!"


async def test_pages_that_are_used_are_let_go_of_after_a_while(tmp_path: Path) -> None:
    folder, area = MappedFolder(tmp_path, seconds=0.01), mapped(tmp_path / "weights")
    folder.use()
    assert area[:8] == b"weights!"
    async with asyncio.timeout(MOST_SECONDS):
        while resident(tmp_path / "weights"):
            await asyncio.sleep(0.01)
