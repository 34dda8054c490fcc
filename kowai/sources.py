"""Folders, globs and files to the files in them, one at a time and in a fixed order.

A file's id is its absolute POSIX path. Hidden files and folders, where version control keeps its own, are not entered.
Links to folders are not followed, so no walk is endless or leaves its folder; a link to a file is an item if the file
lies in the folder and is not one itself. In a folder or glob only files with a suffix that is read are items; what else
there is gets counted. A file named by itself is always an item.
"""

import errno
import os
import re
import stat
from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from kowai.errors import (
    DocumentError,
    DocumentTooLarge,
    FetchRefused,
    SourceChanged,
    SourceEmpty,
    SourceForbidden,
    SourceLoop,
    SourceMissing,
    UnknownFormat,
)

_MAGIC = re.compile(r"[*?\[]")
_ADDRESS = re.compile(r"(?!file:)[a-z][a-z0-9+.-]+://", re.IGNORECASE)


class Found(NamedTuple):
    """Hold the absolute path of a file, or of a folder within the source and why it cannot be walked."""

    path: str
    error: DocumentError | None = None


class Walk:
    """Yield the files of `source`; afterwards `skipped` says how many files and links were passed over.

    `roots` are the folders that sources must lie in; none means anywhere. Names are held for one folder at a time.
    Raises SourceMissing, SourceForbidden, SourceLoop, SourceEmpty, FetchRefused or UnknownFormat when the source itself
    is none.
    """

    def __init__(self, source: str, suffixes: Collection[str], roots: Collection[Path] = ()) -> None:
        self.skipped = 0
        self._source = source
        self._suffixes = suffixes
        self._roots = [os.path.realpath(root) for root in roots]

    def __iter__(self) -> Iterator[Found]:
        self.skipped = 0
        if _ADDRESS.match(self._source):
            raise FetchRefused(f"{self._source} cannot be fetched: only http and https are.")
        path = _absolute(self._source)
        folder, pattern = path, ["**"]
        if (magic := _MAGIC.search(path)) and not os.path.lexists(path):
            cut = path.rindex("/", 0, magic.start())
            folder, pattern = path[:cut] or "/", path[cut + 1 :].split("/")
        mode = self._checked(folder).st_mode
        if stat.S_ISDIR(mode):
            yield from self._some(self._walk(folder, pattern))
        elif pattern == ["**"] and stat.S_ISREG(mode):
            yield Found(path)
        else:
            raise UnknownFormat(f"{self._source} is neither a file nor a folder.")

    def _some(self, found: Iterator[Found]) -> Iterator[Found]:
        """Yield what there is, and say so when there is nothing: nobody names a folder to have nothing read."""
        first = next(found, None)
        if first is None:
            passed = f" ({self.skipped:,} other files)" if self.skipped else ""
            raise SourceEmpty(f"{self._source} holds no document that KowAI can read{passed}.")
        yield first
        yield from found

    def _checked(self, path: str) -> os.stat_result:
        try:
            found = os.stat(path)
            real = os.path.realpath(path)
        except (OSError, ValueError) as error:
            raise _typed(error, self._source) from error
        if self._roots and not any(_contains(root, real) for root in self._roots):
            raise SourceForbidden(f"{self._source} lies outside the folders that may be read.")
        return found

    def _walk(self, root: str, pattern: list[str]) -> Iterator[Found]:
        start = _after(frozenset((0,)), pattern)
        open_folders = [(root, start, iter(_names(root, self._source)))]
        while open_folders:
            folder, states, names = open_folders[-1]
            name = next(names, None)
            if name is None:
                open_folders.pop()
                continue
            path, reached = os.path.join(folder, name), _step(states, pattern, name)
            mode = _mode(path)
            if stat.S_ISDIR(mode) and reached:
                try:
                    open_folders.append((path, reached, iter(_names(path, path))))
                except DocumentError as error:
                    yield Found(path, error)
            elif len(pattern) in reached and self._is_item(path, mode, root, pattern):
                yield _found(path)

    def _is_item(self, path: str, mode: int, root: str, pattern: list[str]) -> bool:
        wanted = os.path.splitext(path)[1].lower() in self._suffixes
        if stat.S_ISLNK(mode):
            wanted = wanted and self._links_to_unlisted(path, os.path.realpath(root), pattern)
        elif not stat.S_ISREG(mode):
            return False
        self.skipped += not wanted
        return wanted

    def _links_to_unlisted(self, link: str, root: str, pattern: list[str]) -> bool:
        """Say whether `link` leads to a file under `root` that the walk does not meet under its own name."""
        target = os.path.realpath(link)
        if not _contains(root, target) or not stat.S_ISREG(_mode(target)):
            return False
        names = os.path.relpath(target, root).split("/")
        states = _after(frozenset((0,)), pattern)
        for name in names:
            states = _step(states, pattern, name)
        listed = len(pattern) in states and os.path.splitext(target)[1].lower() in self._suffixes
        return not listed or any(_is_hidden(name) for name in names)


def read_bytes(path: str, max_bytes: int) -> bytes:
    """Return a file's content; one that is larger is refused before it is read."""
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise UnknownFormat(f"{path} is not a file.")
            content = file.read(max_bytes + 1) if found.st_size <= max_bytes else None
            after = os.fstat(file.fileno())
    except OSError as error:
        raise _typed(error, path) from error
    if content is None or len(content) > max_bytes:
        raise DocumentTooLarge.beyond(path, max_bytes)
    if (found.st_size, found.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise SourceChanged(f"{path} was changed while it was read: ingest it again.")
    return content


def line_hash(line: bytes) -> str:
    """Return what tells that a line of a file is still the one that was found there."""
    return sha256(line).hexdigest()[:16]


def is_url(source: str) -> bool:
    return source.lower().startswith(("http://", "https://"))


def name_of(uri: str) -> str:
    """Return what to call the document at a path or URL."""
    address = urlsplit(uri) if is_url(uri) else None
    path = unquote(address.path) if address else uri
    return path.rstrip("/").rpartition("/")[2] or (address.netloc if address else uri)


def _found(path: str) -> Found:
    try:
        path.encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(path).decode("utf-8", "replace")
        return Found(shown, SourceForbidden(f"{shown} has a name that is not UTF-8: rename it.", operator=str(error)))
    return Found(path)


def _absolute(source: str) -> str:
    path = unquote(urlsplit(source).path) if source.lower().startswith("file:") else source
    return os.path.abspath(os.path.expanduser(path))


def _names(folder: str, source: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if not _is_hidden(name))
    except OSError as error:
        raise _typed(error, source) from error


def _mode(path: str) -> int:
    try:
        return os.lstat(path).st_mode
    except OSError:
        return 0  # gone since its folder was listed


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "CVS"


def _contains(folder: str, path: str) -> bool:
    return os.path.commonpath((folder, path)) == folder


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # or opening a named pipe would wait for its writer


def _step(states: frozenset[int], pattern: list[str], name: str) -> frozenset[int]:
    """Return how far into `pattern` a path can be after one more `name`; `**` stands for any number of names."""
    reached = {state for state in states if state < len(pattern) and pattern[state] == "**"}
    reached.update(state + 1 for state in states if state < len(pattern) and fnmatchcase(name, pattern[state]))
    return _after(frozenset(reached), pattern)


def _after(states: frozenset[int], pattern: list[str]) -> frozenset[int]:
    """Add the states that are reached by letting `**` stand for nothing."""
    reached = set(states)
    for index in range(len(pattern)):
        if index in reached and pattern[index] == "**":
            reached.add(index + 1)
    return frozenset(reached)


def _typed(error: OSError | ValueError, source: str) -> DocumentError:
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return SourceLoop(f"{source} is a link that leads back to itself.", operator=str(error))
    if isinstance(error, IsADirectoryError):
        return UnknownFormat(f"{source} is a folder, not a file.")
    if isinstance(error, PermissionError):
        return SourceForbidden(f"{source} may not be read by KowAI: change its permissions.", operator=str(error))
    return SourceMissing(f"{source} does not exist.", operator=str(error))
