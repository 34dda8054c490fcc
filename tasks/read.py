"""Turn items into text and chunks; a document that cannot be read says why and stops nobody else."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import PurePath
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import Field
from sqlmodel import col, select

from blocks.connections import bucket, database, reader
from blocks.sources import NOTHING, Content, reading_kind
from kowai import jsonl
from kowai.chunking import chunk
from kowai.errors import EmptyDocument, KowaiError
from kowai.labels import Handling, handling_of, labelled
from kowai.relations import Relation, relations
from kowai.settings import settings
from kowai.tables.knowledge import Document
from kowai.terms import known_as
from kowai.types import Chunk, LoadedDocument, Value
from tasks.claim import Item
from tasks.step import patient_step

UNREADABLE = "This document could not be read."


class Reading(Value):
    """Hold what became of one item: a document with its chunks, an unchanged document, or a cause of death."""

    item_id: UUID
    attempt: int = 0
    external_id: str
    origin: str
    content_hash: str = ""
    document: LoadedDocument | None = None
    chunks: tuple[Chunk, ...] = ()
    relations: tuple[Relation, ...] = ()
    title: str | None = None
    validators: dict[str, Any] = Field(default_factory=dict[str, Any])
    cause: str | None = None
    sentence: str | None = None
    quarantined: bool = False

    @property
    def called(self) -> str:
        """Return the words by which people name the document."""
        return known_as(self.title, self.external_id)


class Known(NamedTuple):
    """Hold what the store knows of a document: the hash of its content and what its server said to tell it by."""

    content_hash: str = ""
    validators: Mapping[str, Any] = NOTHING


@patient_step
async def read(items: Sequence[Item], tenant_id: UUID) -> list[Reading]:
    """Read every item; those whose content is already indexed come back without a document or a cause."""
    known = await _known([_name(item) for item in items], tenant_id)
    kept = await asyncio.to_thread(_originals, items)
    opened = await asyncio.gather(*(_opened(item, known.get(_name(item), Known()), kept) for item in items))
    return await asyncio.to_thread(lambda: [_cut(one) if isinstance(one, _Parsed) else one for one in opened])


def _name(item: Item) -> str:
    return item.details.get("external_id", item.uri)


class _Parsed(NamedTuple):
    """Hold a document that is not in chunks yet, with what is known of it so far."""

    reading: Reading
    document: LoadedDocument
    details: dict[str, Any]


async def _opened(item: Item, known: Known, kept: Mapping[UUID, bytes]) -> Reading | _Parsed:
    reading = Reading(item_id=item.id, attempt=item.attempt, external_id=_name(item), origin=_origin(item))
    try:
        content = await _content(item, known.validators, kept)
        digest = _hash(content.data, item.details) if content else known.content_hash
        reading = reading.model_copy(update={"content_hash": digest})
        if content is None or known.content_hash == digest:
            return reading
        validators = dict(content.validators) | {"told": _told(item.details)} if content.validators else {}
        document = _described(await _parsed(content), item.details)
    except Exception as error:
        return _dead(reading, error)
    return _Parsed(reading.model_copy(update={"validators": validators}), document, item.details)


def _cut(parsed: _Parsed) -> Reading:
    reading, name = parsed.reading, parsed.reading.external_id
    try:
        document, chunks, related = _chunked(parsed.document, handling_of(parsed.details), name)
    except Exception as error:
        return _dead(reading, error)
    found = {"document": document, "title": document.title, "chunks": tuple(chunks), "relations": tuple(related)}
    return reading.model_copy(update=found)


def _dead(reading: Reading, error: Exception) -> Reading:
    known = (error.code, error.sentence) if isinstance(error, KowaiError) else None
    cause, sentence = known or ("unreadable", f"{UNREADABLE} ({type(error).__name__})")
    return reading.model_copy(update={"content_hash": "", "validators": {}, "cause": cause, "sentence": sentence})


def _originals(items: Sequence[Item]) -> dict[UUID, bytes]:
    """Return the bytes of those items that the bucket keeps at hand; others are read one by one."""
    return {
        item.id: data
        for item in items
        if "original" in item.details and (data := bucket().at_hand(item.details["original"])) is not None
    }


async def _content(item: Item, known: Mapping[str, Any], kept: Mapping[UUID, bytes]) -> Content | None:
    """Return a document's bytes; None where its server says that they are those that were indexed."""
    details = item.details
    if "original" in details:
        data = kept[item.id] if item.id in kept else await bucket().read_path(details["original"])
        return Content(data, details["name"])
    return await reading_kind(details).read(details, known if known.get("told") == _told(details) else {})


async def _parsed(content: Content) -> LoadedDocument:
    if PurePath(content.name).suffix.lower() not in jsonl.SUFFIXES:
        return await reader().read(content.data, content.name, media_type=content.media_type, charset=content.charset)
    for record in jsonl.parse([content.data], content.name):
        if isinstance(record, jsonl.BadLine):
            raise record.error
        return record.document()
    raise EmptyDocument(f"{content.name} holds no document.")


def _origin(item: Item) -> str:
    return item.details.get("origin") or ("upload" if "original" in item.details else item.uri)


def _hash(content: bytes, details: dict[str, Any]) -> str:
    return sha256(_told(details).encode() + b"\0" + content).hexdigest()


def _told(details: dict[str, Any]) -> str:
    """Return all that was said about a document beside its bytes."""
    return json.dumps([details.get("title"), details.get("metadata"), handling_of(details).told()], sort_keys=True)


def _described(document: LoadedDocument, details: dict[str, Any]) -> LoadedDocument:
    """Let what the sender said about a document win over what its bytes say."""
    title = details.get("title") or document.title
    return document.model_copy(update={"title": title, "metadata": document.metadata | details.get("metadata", {})})


def _chunked(
    document: LoadedDocument, handling: Handling, name: str
) -> tuple[LoadedDocument, list[Chunk], list[Relation]]:
    size = handling.chunk_size or settings().chunk_size
    overlap = settings().chunk_overlap if handling.chunk_overlap is None else handling.chunk_overlap
    document = labelled(document, handling)
    return document, chunk(document, size, min(overlap, size // 2)), relations(document, name)


async def _known(external_ids: Sequence[str], tenant_id: UUID) -> dict[str, Known]:
    columns = (col(Document.external_id), col(Document.content_hash), col(Document.validators))
    wanted = select(*columns).where(col(Document.external_id).in_(external_ids))
    async with (await database()).transaction(tenant_id) as connection:
        rows = await connection.execute(wanted)
        return {row.external_id: Known(row.content_hash, row.validators) for row in rows}
