"""Large files in parts: sent and fetched without ever being in memory as a whole."""

import hashlib
from collections.abc import Callable
from io import SEEK_CUR, SEEK_END, SEEK_SET, RawIOBase
from threading import Lock
from typing import BinaryIO

PART = 5 * 1024 * 1024  # bytes of each part but the last: Appwrite takes no others

Fetch = Callable[[int, int], bytes]


class Parts:
    """Stand for the rest of an open file where the SDK expects bytes: it asks for their number, and for slices."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._begin, self._lock = file, file.tell(), Lock()  # the SDK sends several at once
        self._size = file.seek(0, SEEK_END) - self._begin

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, wanted: slice) -> bytes:
        start, stop, _ = wanted.indices(self._size)
        with self._lock:
            self._file.seek(self._begin + start)
            return self._file.read(stop - start)

    def md5(self) -> str:
        """Return what Appwrite calls a file's signature."""
        digest = hashlib.md5(usedforsecurity=False)
        for start in range(0, self._size, PART):
            digest.update(self[start : start + PART])
        return digest.hexdigest()


class Ranges(RawIOBase):
    """Read a stored file of `size` bytes by what fetches its bytes [start, stop), as far as somebody reads it.

    Appwrite refuses a range of a single byte, so none is asked for.
    """

    def __init__(self, fetch: Fetch, size: int) -> None:
        self._fetch, self._size, self._at = fetch, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        self._at = offset + {SEEK_SET: 0, SEEK_CUR: self._at, SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        stop = min(self._at + len(buffer), self._size)
        if stop <= self._at:
            return 0
        start = max(0, min(self._at, stop - 2))
        part = self._fetch(start, stop)[self._at - start :]
        buffer[: len(part)] = part
        self._at = stop
        return len(part)
