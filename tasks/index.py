"""Make documents findable: rows, vectors and full text change together, in one transaction a batch."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import sqlalchemy
from sqlalchemy import insert, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col, delete, select

from blocks.connections import database
from kowai.indexing import IndexedDocument
from kowai.tables.ingestion import IngestionItem as Row
from kowai.tables.knowledge import ChunkRow, Document, DocumentVersion
from tasks.embed import Embedded
from tasks.indexing_sql import write_chunks
from tasks.read import Reading
from tasks.spaces import open_space
from tasks.step import step


@step
async def index(readings: Sequence[Reading], embedded: Embedded, tenant_id: UUID) -> None:
    """Store every reading and where its item ended; doing it again changes nothing.

    A batch is one transaction; where the database refuses it, each document has its own, and the culprit dies alone.
    """
    try:
        await _index(readings, embedded, tenant_id)
    except DBAPIError:
        for reading in readings:
            await _index_alone(reading, embedded, tenant_id)


async def _index_alone(reading: Reading, embedded: Embedded, tenant_id: UUID) -> None:
    try:
        await _index([reading], embedded, tenant_id)
    except DBAPIError as error:
        sentence = f"The database refused this document ({type(error.orig).__name__})."
        dead = reading.model_copy(update={"document": None, "cause": "unindexable", "sentence": sentence})
        await _index([dead], embedded, tenant_id)


async def _index(readings: Sequence[Reading], embedded: Embedded, tenant_id: UUID) -> None:
    async with (await database()).transaction(tenant_id) as connection:
        documents = [_Stored(reading, *await _lock(connection, reading, tenant_id)) for reading in _readable(readings)]
        changed = [stored for stored in documents if stored.known_hash != stored.reading.content_hash]
        for stored in changed:
            await _replace(connection, stored, tenant_id)
        if changed:
            space = await open_space(connection, embedded.space)
            await write_chunks(connection, [stored.indexed(embedded) for stored in changed], space_id=space)
        await _end_items(connection, readings, {stored.reading.item_id: stored for stored in documents})


class _Stored(NamedTuple):
    """Hold a reading beside what the store knew of its document; a new one has version 0 and no hash."""

    reading: Reading
    document_id: UUID
    known_version: int
    known_hash: str

    def indexed(self, embedded: Embedded) -> IndexedDocument:
        vectors = list(embedded.vectors[self.reading.item_id])
        version = self.known_version + 1
        return IndexedDocument(self.document_id, version, self.reading.title, self.reading.chunks, vectors)


def _readable(readings: Sequence[Reading]) -> list[Reading]:
    """Return one reading a document, in the order in which every transaction locks them."""
    latest = {reading.external_id: reading for reading in readings if reading.cause is None}
    return [latest[external_id] for external_id in sorted(latest)]


async def _end_items(connection: AsyncConnection, readings: Sequence[Reading], stored: dict[UUID, _Stored]) -> None:
    ends: list[dict[str, Any]] = []
    for reading in readings:
        document = stored.get(reading.item_id)
        unchanged = document is None or document.known_hash == reading.content_hash
        state = "dead" if reading.cause else "unchanged" if unchanged else "indexed"
        document_id = document.document_id if document else None
        end = {"state": state, "cause": reading.cause, "sentence": reading.sentence, "document_id": document_id}
        ends.append({"item": reading.item_id, **end})
    ended = sqlalchemy.update(Row).where(col(Row.id) == sqlalchemy.bindparam("item"))
    await connection.execute(ended, ends)


async def _lock(connection: AsyncConnection, reading: Reading, tenant_id: UUID) -> tuple[UUID, int, str]:
    """Return the document's id, version and content hash, its row locked; a new one has version 0 and no hash."""
    new = {"id": uuid4(), "tenant_id": tenant_id, "external_id": reading.external_id, "origin": reading.origin}
    blank = {"media_type": "", "version": 0, "content_hash": ""}
    await connection.execute(postgresql.insert(Document).values(**new, **blank).on_conflict_do_nothing())
    known = select(col(Document.id), col(Document.version), col(Document.content_hash))
    row = await connection.execute(known.where(col(Document.external_id) == reading.external_id).with_for_update())
    document_id, version, content_hash = row.one()
    return document_id, version, content_hash


async def _replace(connection: AsyncConnection, stored: _Stored, tenant_id: UUID) -> None:
    """Write the new version's text and take the old one's chunks away."""
    reading, document_id = stored.reading, stored.document_id
    assert reading.document is not None
    told = {"title": reading.title, "content_hash": reading.content_hash, "version": stored.known_version + 1}
    described = {"media_type": reading.document.media_type, "details": reading.document.metadata}
    content = {"text": reading.document.text, "pages": [list(page) for page in reading.document.pages]}
    changed = update(Document).where(col(Document.id) == document_id)
    if stored.known_version:
        await connection.execute(delete(ChunkRow).where(col(ChunkRow.document_id) == document_id))
    await connection.execute(
        changed.values(**told, **described, origin=reading.origin, updated_at=sqlalchemy.func.now())
    )
    await connection.execute(
        insert(DocumentVersion).values(**told, **content, tenant_id=tenant_id, document_id=document_id)
    )
