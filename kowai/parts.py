"""Documents that are ZIP archives of parts (Office Open XML, OpenDocument, EPUB), opened within limits."""

import io
import posixpath
import struct
import zipfile
import zlib
from typing import TypeAlias
from urllib.parse import unquote
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from kowai.errors import Bomb, Corrupt, DocumentTooLarge, Encrypted
from kowai.loaders import Limits

MAX_PARTS = 50_000
MAX_RATIO, RATIO_FROM_BYTES = 200, 20_000_000  # XML seldom shrinks to less than a fiftieth
ENCRYPTED = 1

Xml: TypeAlias = Element
BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, OSError, ValueError, RuntimeError, EOFError, LookupError)


class Parts:
    """Open an archive's parts by name; all of them together may unpack to `limits.max_bytes`.

    Raises Corrupt, Encrypted, Bomb or DocumentTooLarge.
    """

    def __init__(self, data: bytes, name: str, limits: Limits) -> None:
        self._name, self._left, self._size = name, limits.max_bytes, len(data)
        self._limits = limits
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(data))
        except BROKEN as error:
            raise self.corrupt(error) from error
        self.names = frozenset(self._archive.namelist())
        if len(self.names) > MAX_PARTS:
            raise Bomb(f"{name} consists of {len(self.names):,} parts: export it again.")

    def corrupt(self, error: Exception | str) -> Corrupt:
        return Corrupt(f"{self._name} is damaged: export or download it again.", operator=str(error)[:500])

    def read(self, part: str) -> bytes:
        """Return a part's content, or nothing where there is no such part."""
        if part not in self.names:
            return b""
        try:
            if self._archive.getinfo(part).flag_bits & ENCRYPTED:
                raise Encrypted(f"{self._name} is locked by a password: save it without one.")
            with self._archive.open(part) as file:
                content = file.read(self._left + 1)
        except BROKEN as error:
            raise self.corrupt(error) from error
        self._left -= len(content)
        unpacked = self._limits.max_bytes - self._left
        if unpacked > max(RATIO_FROM_BYTES, MAX_RATIO * self._size):
            raise Bomb(f"{self._name} unpacks to more than {MAX_RATIO} times its size, as bombs do: export it again.")
        if self._left < 0:
            raise DocumentTooLarge.beyond(f"{self._name}, unpacked,", self._limits.max_bytes)
        return content

    def xml(self, part: str) -> Xml | None:
        """Return a part's root element, or None where there is no such part. Entities are refused unread."""
        content = self.read(part)
        if not content:
            return None
        try:
            return fromstring(content)
        except DefusedXmlException as error:
            raise Bomb(f"{self._name} defines XML entities, as bombs do: export it again.") from error
        except (ParseError, ValueError, LookupError) as error:
            raise self.corrupt(error) from error

    def relations(self, part: str) -> dict[str, str]:
        """Return the parts that `part` refers to by id (Open Packaging Conventions); what lies outside is left out."""
        folder, file = posixpath.split(part)
        root = self.xml(posixpath.join(folder, "_rels", f"{file}.rels"))
        found = [] if root is None else [link for link in root if link.get("TargetMode") != "External"]
        return {link.get("Id", ""): resolved(part, link.get("Target", "")) for link in found}

    def related(self, part: str, kind: str) -> list[str]:
        """Return the parts that `part` refers to as `kind`, the last word of the relation's type."""
        folder, file = posixpath.split(part)
        root = self.xml(posixpath.join(folder, "_rels", f"{file}.rels"))
        links = [] if root is None else [link for link in root if link.get("Type", "").endswith(f"/{kind}")]
        return [resolved(part, link.get("Target", "")) for link in links if link.get("TargetMode") != "External"]


def resolved(part: str, target: str) -> str:
    """Return the name of the part at `target`, as `part` writes it."""
    path = unquote(target.partition("#")[0])
    return posixpath.normpath(posixpath.join(posixpath.dirname(part), path) if path[:1] != "/" else path).lstrip("/")


def tag(element: Xml) -> str:
    """Return an element's name without its namespace; strict and transitional documents differ in nothing else."""
    return element.tag.rpartition("}")[2]


def attribute(element: Xml | None, name: str) -> str | None:
    """Return an attribute by its name without its namespace."""
    if element is None:
        return None
    return next((value for key, value in element.attrib.items() if key.rpartition("}")[2] == name), None)


def child(element: Xml | None, *path: str) -> Xml | None:
    """Follow `path`, names without namespaces, down from an element."""
    for name in path:
        element = None if element is None else next((inner for inner in element if tag(inner) == name), None)
    return element


def core_properties(parts: Parts) -> dict[str, str]:
    """Return what an Office document says of itself: title, creator, created, modified ..."""
    root = parts.xml("docProps/core.xml")
    return {tag(said): said.text.strip() for said in (() if root is None else root) if said.text and said.text.strip()}
