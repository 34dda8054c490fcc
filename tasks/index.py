"""Make documents findable: rows, vectors and full text change together, in one transaction a batch."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col, delete

from blocks.connections import database
from kowai import document_rows
from kowai.errors import SpaceMismatch
from kowai.indexing import IndexedDocument
from kowai.tables.knowledge import ChunkRow
from tasks.bought_vectors import drop_bought
from tasks.deleted import hold_items
from tasks.embed import Embedded
from tasks.history import keep_past
from tasks.indexing_sql import write_chunks
from tasks.read import Reading
from tasks.relate import write_relations
from tasks.spaces import current_embedder, open_space
from tasks.step import patient_step


@patient_step
async def index(readings: Sequence[Reading], embedded: Embedded, tenant_id: UUID) -> bool:
    """Store every reading and where its item ended; doing it again changes nothing.

    A batch is one transaction; where the database refuses it, each document has its own, and the culprit dies alone.
    Returns False, and stores nothing more, when another space has become the current one since the batch was embedded.
    """
    try:
        await _index_together(readings, embedded, tenant_id)
    except SpaceMismatch:
        if await current_embedder() == embedded.embedder:
            raise
        return False
    return True


async def _index_together(readings: Sequence[Reading], embedded: Embedded, tenant_id: UUID) -> None:
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
        held = await hold_items(connection, {reading.item_id: reading.attempt for reading in readings})
        readings = [reading for reading in readings if reading.item_id in held]  # not those deleted or taken over
        readable = _readable(readings)
        space = await open_space(connection, embedded.space) if readable else 0  # before rows that a switch waits for
        documents = await _lock(connection, readable)
        changed = [stored for stored in documents if stored.known_hash != stored.reading.content_hash]
        if changed:
            await _replace(connection, changed)
            await write_chunks(connection, [stored.indexed(embedded) for stored in changed], space_id=space)
            await write_relations(connection, {one.document_id: one.reading.relations for one in changed})
        await drop_bought(connection, embedded.bought)
        if readings:
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
        return IndexedDocument(self.document_id, version, self.reading.called, self.reading.chunks, vectors)

    def row(self) -> dict[str, Any]:
        """Return the columns of the document's row and of its new version's."""
        reading, document = self.reading, self.reading.document
        assert document is not None
        told = {"title": reading.title, "content_hash": reading.content_hash, "version": self.known_version + 1}
        read = {"media_type": document.media_type, "origin": reading.origin, "language": document.language}
        read |= {"content_type": document.content_type or "general", "text": document.text}
        kept = {"details": document.metadata, "validators": reading.validators, "pages": document.pages}
        kept |= {"layout": document.layout or None}
        written = {name: json.dumps(value) if value is not None else None for name, value in kept.items()}
        return {"document_id": self.document_id} | told | read | written


def _readable(readings: Sequence[Reading]) -> list[Reading]:
    """Return one reading a document, in the order in which every transaction locks them."""
    latest = {reading.external_id: reading for reading in readings if reading.cause is None}
    return [latest[external_id] for external_id in sorted(latest)]


async def _end_items(connection: AsyncConnection, readings: Sequence[Reading], stored: dict[UUID, _Stored]) -> None:
    ends: list[dict[str, Any]] = []
    for reading in readings:
        document = stored.get(reading.item_id)
        unchanged = document is None or document.known_hash == reading.content_hash
        state = (
            "quarantined"
            if reading.quarantined
            else "dead"
            if reading.cause
            else "unchanged"
            if unchanged
            else "indexed"
        )
        document_id = document.document_id if document else None
        end = {"state": state, "cause": reading.cause, "sentence": reading.sentence, "document_id": document_id}
        ends.append({"item": reading.item_id, **end})
    await connection.execute(text(document_rows.END_ITEMS), _columns(ends))


async def _lock(connection: AsyncConnection, readings: Sequence[Reading]) -> list[_Stored]:
    """Lock the documents' rows, in the order given, and say what each held; a new one has version 0 and no hash."""
    if not readings:
        return []
    named = {"names": [reading.external_id for reading in readings]}
    origins = {"origins": [reading.origin for reading in readings]}
    await connection.execute(text(document_rows.ENTER), named | origins)
    rows = await connection.execute(text(document_rows.HOLD), named)
    known = {row.external_id: (row.id, row.version, row.content_hash) for row in rows}
    return [_Stored(reading, *known[reading.external_id]) for reading in readings]


async def _replace(connection: AsyncConnection, changed: Sequence[_Stored]) -> None:
    """Write the new versions' texts and put the old ones' chunks away."""
    replaced = [stored.document_id for stored in changed if stored.known_version]
    if replaced:
        await keep_past(connection, replaced)
        await connection.execute(delete(ChunkRow).where(col(ChunkRow.document_id).in_(replaced)))
    columns = _columns([stored.row() for stored in changed])
    for statement in (document_rows.RENEW, document_rows.WRITE_VERSIONS):
        await connection.execute(text(statement), columns)


def _columns(rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}
