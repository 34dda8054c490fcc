"""Keep deleted documents deleted: what may be accepted, and what may still be indexed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col, select

from kowai import document_rows, erasure
from kowai.tables.ingestion import Ingestion
from kowai.tables.knowledge import Document
from kowai.tables.ledger import DeletionCertificate


async def admit_items(
    connection: AsyncConnection, rows: Sequence[dict[str, Any]], ingestion_id: UUID, tenant_id: UUID
) -> list[dict[str, Any]]:
    """Return the rows to accept, without their mark `named`; no deletion overtakes the caller's transaction.

    A document deleted after it was asked for stays deleted. A walk does not bring back what was deleted before it:
    that takes somebody who names the document.
    """
    await keep_deletions_out(connection)
    asked = await connection.execute(select(col(Ingestion.created_at)).where(col(Ingestion.id) == ingestion_id))
    (asked_at,) = asked.one()
    assert asked_at is not None  # the database sets it
    names = [row["details"].get("external_id", row["uri"]) for row in rows]
    hashes = [erasure.name_hash(tenant_id, name) for name in names]
    found = (await connection.execute(_deletions(hashes))).mappings()
    deleted: dict[str, datetime] = {row["name_hash"]: row["moment"] for row in found}
    held = select(col(Document.external_id)).where(col(Document.external_id).in_(names))
    kept = set(await connection.scalars(held)) if deleted else set[str]()
    admitted: list[dict[str, Any]] = []
    for row, name, digest in zip(rows, names, hashes, strict=True):
        is_named = row.pop("named", True)
        deleted_at = deleted.get(digest)
        if deleted_at is None or (deleted_at < asked_at and (is_named or name in kept)):
            admitted.append(row)
    return admitted


def _deletions(hashes: Sequence[str]) -> Any:
    named = col(DeletionCertificate.name_hash)
    newest = select(named, func.max(col(DeletionCertificate.created_at)).label("moment"))
    asked_for = col(DeletionCertificate.counts)["vanished"].is_(None)
    return newest.where(named.in_(hashes), asked_for).group_by(named)


async def hold_items(connection: AsyncConnection, attempts: Mapping[UUID, int]) -> set[UUID]:
    """Lock the items that are still read by these attempts until the transaction ends; who deletes one waits for it."""
    mine = {"items": list(attempts), "attempts": list(attempts.values())}
    return set(await connection.scalars(text(document_rows.HOLD_ITEMS), mine))


async def keep_deletions_out(connection: AsyncConnection) -> None:
    """Wait for a deletion that is under way, and let none begin until the transaction ends."""
    await connection.execute(text(erasure.SHARE))


async def void_overtaken(connection: AsyncConnection, query_id: UUID) -> None:
    """Take away what was said for a question without an answer, if it is gone or what it may quote is.

    Its transaction has to keep deletions out, before anything else.
    """
    if await connection.scalar(text(erasure.OVERTAKEN), {"query": query_id}):
        await void_quotes(connection, query_id)


async def void_quotes(connection: AsyncConnection, query_id: UUID) -> None:
    """Take away what models said about one question, and what was told of it on the way."""
    for name in ("replies", "events"):
        await connection.execute(text(erasure.QUOTES[name]), {"quoting": [query_id]})
