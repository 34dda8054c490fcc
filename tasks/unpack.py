"""Archives and uploaded files of records to the documents in them, each kept in the bucket as one of its own."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, BinaryIO, NamedTuple
from uuid import UUID

from blocks.connections import bucket
from kowai import archives, jsonl
from kowai.archives import Bounds, is_archive, members
from kowai.errors import KowaiError
from kowai.loaders import suffixes
from kowai.settings import settings

RECORD = "record.jsonl"  # a file that holds one record, which is a document


class Unpacked(NamedTuple):
    """Hold one document: what it is known by and where it is kept, or why it cannot be read."""

    uri: str
    details: dict[str, Any]
    error: KowaiError | None = None


def holds_many(name: str) -> bool:
    """Say whether a file of this name holds documents rather than being one."""
    return is_archive(name) or (_is_records(name) and name != RECORD)


def readable_suffixes() -> frozenset[str]:
    """Return the suffixes of files that are documents or hold some."""
    return suffixes() | jsonl.SUFFIXES | archives.SUFFIXES


def unpack(file: BinaryIO, uri: str, name: str, tenant_id: UUID) -> Iterator[Unpacked]:
    """Yield every document in the file, those in files of records in an archive too."""
    if not is_archive(name):
        yield from _records(file.read().split(b"\n"), uri, tenant_id)
        return
    for member in members(file, name, readable_suffixes(), Bounds(max_member_bytes=settings().max_document_bytes)):
        place = f"{uri}!/{member.path}" if member.path else uri
        if member.error is not None:
            yield Unpacked(place, {}, member.error)
        elif _is_records(member.path):
            yield from _records(member.data.split(b"\n"), place, tenant_id)
        else:
            yield _kept(place, place, PurePosixPath(member.path).name, tenant_id, content=member.data)


def _records(lines: list[bytes], place: str, tenant_id: UUID) -> Iterator[Unpacked]:
    for found in jsonl.parse(lines, place):
        if isinstance(found, jsonl.BadLine):
            yield Unpacked(f"{place}#{found.line}", {}, found.error)
        else:
            yield _kept(found.id, place, RECORD, tenant_id, content=lines[found.line - 1])


def _kept(uri: str, origin: str, name: str, tenant_id: UUID, *, content: bytes) -> Unpacked:
    original = bucket().keep(tenant_id, content)
    return Unpacked(uri, {"external_id": uri, "origin": origin, "name": name, "original": original})


def _is_records(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in jsonl.SUFFIXES
