"""Archives (ZIP, TAR and what gzip, bzip2 and xz make of one) to the files in them, within limits.

Nothing is written under a member's own name, so that no name can lead out of a folder. As in folders, hidden files
and files with a suffix that is not read are passed over, and links are not followed.
"""

import bz2
import gzip
import io
import lzma
import posixpath
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from typing import IO, BinaryIO, NamedTuple

from kowai.errors import Bomb, Corrupt, DocumentError, DocumentTooLarge, DuplicateId, EmptyDocument, Encrypted

ZIPS, TARS = (".zip",), (".tar", ".tgz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz")
SQUEEZED = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
SUFFIXES = frozenset((*ZIPS, ".tar", ".tgz", ".tbz2", ".txz", *SQUEEZED))
DIRECTORY_BYTES = 20_000_000
ENCRYPTED = 1
DAMAGED = (zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, zlib.error, struct.error)
# TypeError: tarfile meets a gzip header that ends too early.
BROKEN = (*DAMAGED, OSError, ValueError, RuntimeError, EOFError, LookupError, TypeError)


class Bounds(NamedTuple):
    """Bound what one archive may cost with all the archives in it; `max_ratio` counts once the rest is beyond doubt."""

    max_member_bytes: int = 100_000_000
    max_bytes: int = 4_000_000_000
    max_members: int = 100_000
    max_depth: int = 3
    max_ratio: int = 200
    ratio_from_bytes: int = 50_000_000


class Member(NamedTuple):
    """Hold a file by its path in the archive, or why it or, without a path, the rest of the archive is not read."""

    path: str
    data: bytes = b""
    error: DocumentError | None = None


def is_archive(name: str) -> bool:
    return posixpath.splitext(name.lower())[1] in SUFFIXES


def members(file: BinaryIO, name: str, suffixes: Collection[str], bounds: Bounds = Bounds()) -> Iterator[Member]:
    """Yield the files in an archive, those of archives in it too; an archive that holds none yields why."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    unpacking = _Unpacking(frozenset(suffixes), bounds, max(1, size))
    found = False
    seen: dict[str, int] = {}
    try:
        for member in unpacking.files(file, name, 1):
            found = True
            count = seen[member.path] = seen.get(member.path, 0) + 1
            if count > 1:
                error = DuplicateId(f"{name} holds {member.path} {count} times: rename one of them.")
                member = Member(f"{member.path}#{count}", error=error)
            yield member
    except DocumentError as error:
        yield Member("", error=error)
    except BROKEN as error:
        damaged = f"{name} is damaged from its {sum(seen.values()) + 1:,}. file on: pack it again."
        yield Member("", error=Corrupt(damaged, operator=repr(error)[:500]))
    else:
        if not found:
            yield Member("", error=EmptyDocument(f"{name} holds no file that KowAI can read."))


class _Unpacking:
    """Unpack one archive and count what that costs."""

    def __init__(self, suffixes: frozenset[str], bounds: Bounds, size: int) -> None:
        self._suffixes = suffixes
        self._bounds = bounds
        self._size = size
        self._unpacked = 0
        self._count = 0

    def files(self, file: BinaryIO, name: str, depth: int) -> Iterator[Member]:
        for member in self._opened(file, name):
            if member.error is None and is_archive(member.path):
                yield from self._nested(member, depth + 1)
            else:
                yield member

    def _nested(self, outer: Member, depth: int) -> Iterator[Member]:
        """Yield an inner archive's files; one that is damaged does not take its neighbours along."""
        if depth > self._bounds.max_depth:
            deep = f"{outer.path} lies in archives nested {self._bounds.max_depth} deep: unpack them first."
            yield Member(outer.path, error=Bomb(deep))
            return
        try:
            for member in self.files(io.BytesIO(outer.data), outer.path, depth):
                yield member._replace(path=f"{outer.path}!/{member.path}")
        except BROKEN as error:
            damaged = Corrupt(f"{outer.path} is damaged: pack it again.", operator=repr(error)[:500])
            yield Member(outer.path, error=damaged)

    def _opened(self, file: BinaryIO, name: str) -> Iterator[Member]:
        lowered = name.lower()
        if lowered.endswith(ZIPS):
            return self._zipped(file, name)
        if lowered.endswith(TARS):
            return self._tarred(file, name)
        return self._squeezed(file, name)

    def _zipped(self, file: BinaryIO, name: str) -> Iterator[Member]:
        _check_directory(file, name)
        with zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                path = _path(info.filename)
                if not path or info.filename.endswith(("/", "\\")) or not self._is_wanted(path, name):
                    continue
                if info.flag_bits & ENCRYPTED:
                    locked = f"{path} in {name} is locked by a password: pack it without one."
                    yield Member(path, error=Encrypted(locked))
                    continue
                with archive.open(info) as member:
                    yield self._read(member, path, name)

    def _tarred(self, file: BinaryIO, name: str) -> Iterator[Member]:
        with tarfile.open(fileobj=file, mode="r|*") as archive:
            for info in archive:
                path = _path(info.name)
                if info.isfile() and self._is_wanted(path, name) and (member := archive.extractfile(info)) is not None:
                    yield self._read(member, path, name)
                else:
                    self._count_bytes(info.size, name)  # which skipping unpacks too
                archive.members = []  # pyright: ignore[reportAttributeAccessIssue] -- it would keep them all

    def _squeezed(self, file: BinaryIO, name: str) -> Iterator[Member]:
        path, suffix = posixpath.splitext(posixpath.basename(name))
        if self._is_wanted(path, name):
            with SQUEEZED[suffix.lower()](file) as member:
                yield self._read(member, path, name)

    def _is_wanted(self, path: str, name: str) -> bool:
        self._count += 1
        if self._count > self._bounds.max_members:
            raise DocumentTooLarge(f"{name} holds more than {self._bounds.max_members:,} files: split it.")
        hidden = any(step.startswith(".") or step == "__MACOSX" for step in path.split("/"))
        return not hidden and (posixpath.splitext(path.lower())[1] in self._suffixes or is_archive(path))

    def _read(self, member: "IO[bytes] | io.BufferedIOBase", path: str, name: str) -> Member:
        data = member.read(self._bounds.max_member_bytes + 1) or b""
        self._count_bytes(len(data), name)
        if len(data) > self._bounds.max_member_bytes:
            return Member(path, error=DocumentTooLarge.beyond(f"{path} in {name}", self._bounds.max_member_bytes))
        return Member(path, data)

    def _count_bytes(self, size: int, name: str) -> None:
        self._unpacked += size
        bounds = self._bounds
        if self._unpacked > max(bounds.ratio_from_bytes, bounds.max_ratio * self._size):
            raise Bomb(f"{name} unpacks to more than {bounds.max_ratio} times its size, as bombs do: unpack it first.")
        if self._unpacked > bounds.max_bytes:
            raise DocumentTooLarge.beyond(f"{name}, unpacked,", bounds.max_bytes)


def _check_directory(file: BinaryIO, name: str) -> None:
    """Refuse a ZIP whose table of contents would fill the memory; its size stands at the end (APPNOTE 4.3.16)."""
    end = file.seek(0, io.SEEK_END)
    file.seek(max(0, end - 66_000))
    tail = file.read()
    place = tail.rfind(b"PK\x05\x06")
    size = int.from_bytes(tail[place + 12 : place + 16], "little") if place >= 0 else 0
    if size > DIRECTORY_BYTES:
        raise DocumentTooLarge(f"{name} holds too many files: split it.")
    file.seek(0)


def _path(name: str) -> str:
    """Return a member's path as a relative one that stays in the archive, in storable characters."""
    path = posixpath.normpath("/" + name.replace("\\", "/")).lstrip("/")
    return path.replace("\0", "").encode(errors="replace").decode()
