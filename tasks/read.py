"""Turn items into text and chunks; a document that cannot be read says why and stops nobody else."""

import asyncio
import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path, PurePath
from typing import Any, NamedTuple
from uuid import UUID

from sqlmodel import col, select

from blocks.connections import bucket, database, reader
from blocks.web import Fetched, FetchLimits, fetch
from kowai import jsonl
from kowai.chunking import chunk
from kowai.errors import EmptyDocument, KowaiError
from kowai.labels import Handling, handling_of, labelled
from kowai.settings import settings
from kowai.sources import name_of, read_bytes
from kowai.tables.knowledge import Document
from kowai.types import Chunk, LoadedDocument, Value
from tasks.claim import Item
from tasks.step import step

UNREADABLE = "This document could not be read."


class Reading(Value):
    """Hold what became of one item: a document with its chunks, an unchanged document, or a cause of death."""

    item_id: UUID
    external_id: str
    origin: str
    content_hash: str = ""
    document: LoadedDocument | None = None
    chunks: tuple[Chunk, ...] = ()
    title: str | None = None
    cause: str | None = None
    sentence: str | None = None


@step
async def read(items: Sequence[Item], tenant_id: UUID) -> list[Reading]:
    """Read every item; those whose content is already indexed come back without a document or a cause."""
    known = await _known_hashes([item.details.get("external_id", item.uri) for item in items], tenant_id)
    return await asyncio.gather(*(_read_one(item, known) for item in items))


async def _read_one(item: Item, known: dict[str, str]) -> Reading:
    external_id = item.details.get("external_id", item.uri)
    reading = Reading(item_id=item.id, external_id=external_id, origin=_origin(item))
    try:
        content = await _content(item)
        digest = _hash(content.data, item.details)
        if known.get(external_id) == digest:
            return reading.model_copy(update={"content_hash": digest})
        parsed = _described(await _parsed(content), item.details)
        document, chunks = await asyncio.to_thread(_chunked, parsed, handling_of(item.details))
    except KowaiError as error:
        return reading.model_copy(update={"cause": error.code, "sentence": error.sentence})
    except Exception as error:
        return reading.model_copy(update={"cause": "unreadable", "sentence": f"{UNREADABLE} ({type(error).__name__})"})
    found = {"content_hash": digest, "document": document, "title": document.title, "chunks": tuple(chunks)}
    return reading.model_copy(update=found)


class Content(NamedTuple):
    """Hold a document's bytes, the name whose suffix says what they claim to be, and what a server said of them."""

    data: bytes
    name: str
    media_type: str | None = None
    charset: str | None = None


async def _content(item: Item) -> Content:
    details = item.details
    if "original" in details:
        return Content(await bucket().read_path(details["original"]), details["name"])
    if "url" in details:
        fetched = await fetch(details["url"], limits=_limits())
        assert isinstance(fetched, Fetched)  # nothing conditional was asked
        return Content(fetched.data, name_of(fetched.final_url), fetched.media_type, fetched.charset)
    return await asyncio.to_thread(_file_content, Path(details["path"]), details)


def _limits() -> FetchLimits:
    return FetchLimits(max_bytes=settings().max_document_bytes, allow_private=settings().allow_private_urls)


def _file_content(path: Path, details: dict[str, Any]) -> Content:
    """Read a file, or the one line of it that holds a record."""
    if "offset" not in details:
        return Content(read_bytes(str(path), settings().max_document_bytes), path.name)
    with path.open("rb") as file:
        file.seek(details["offset"])
        return Content(file.read(details["length"]), path.name)


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
    told = json.dumps([details.get("title"), details.get("metadata"), handling_of(details).told()], sort_keys=True)
    return sha256(told.encode() + b"\0" + content).hexdigest()


def _described(document: LoadedDocument, details: dict[str, Any]) -> LoadedDocument:
    """Let what the sender said about a document win over what its bytes say."""
    title = details.get("title") or document.title
    return document.model_copy(update={"title": title, "metadata": document.metadata | details.get("metadata", {})})


def _chunked(document: LoadedDocument, handling: Handling) -> tuple[LoadedDocument, list[Chunk]]:
    size = handling.chunk_size or settings().chunk_size
    overlap = settings().chunk_overlap if handling.chunk_overlap is None else handling.chunk_overlap
    document = labelled(document, handling)
    return document, chunk(document, size, min(overlap, size // 2))


async def _known_hashes(external_ids: Sequence[str], tenant_id: UUID) -> dict[str, str]:
    wanted = select(col(Document.external_id), col(Document.content_hash)).where(
        col(Document.external_id).in_(external_ids)
    )
    async with (await database()).transaction(tenant_id) as connection:
        return dict(row.tuple() for row in await connection.execute(wanted))
