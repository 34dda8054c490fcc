"""Delete a document and all that quotes it, in one transaction; its original follows by the outbox."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy
from sqlalchemy import func, insert, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col, select

from blocks.connections import bucket, database
from kowai import erasure
from kowai.errors import NotFound
from kowai.tables.knowledge import Document
from kowai.tables.ledger import DeletionCertificate, Outbox
from kowai.types import Value
from tasks.export_tenant import FOLDER
from tasks.step import step

REMOVAL = "remove-original"


class Certificate(Value):
    """Say what was deleted and when; `hash` covers it and the certificate before it."""

    id: UUID
    created_at: datetime
    document_id: UUID | None
    name_hash: str
    requested_by: UUID | None
    counts: dict[str, int]
    previous_hash: str | None
    hash: str


@step
async def forget(
    external_id: str, tenant_id: UUID, *, requested_by: UUID | None = None, vanished: bool = False
) -> Certificate:
    """Delete the document of that name in whatever state it is. Raises NotFound when nothing of it is held.

    One that only `vanished` from its source comes back when it is there again.
    """
    async with (await database()).transaction(tenant_id) as connection:
        await connection.execute(text(erasure.HOLD))
        originals = list(await connection.scalars(text(erasure.ORIGINALS), {"name": external_id}))
        counts = await _counted(connection, erasure.ARRIVALS, name=external_id)
        document_id = await connection.scalar(text(erasure.FIND), {"name": external_id})
        if document_id is not None:
            quotes, results = await _erase(connection, document_id, external_id)
            counts |= quotes
            originals += results
        if not any(counts.values()):
            raise NotFound("There is no such document.")
        counts["bought_vectors"] = (await connection.execute(text(erasure.BOUGHT))).rowcount
        counts |= {"vanished": 1} if vanished else {}
        counts["originals"] = await let_go(connection, originals, tenant_id)
        if not vanished:  # what somebody has deleted is in no export either
            counts["exports"] = await drop_exports(connection, tenant_id)
        facts = {"document_id": document_id, "requested_by": requested_by, "counts": counts}
        return await certify(connection, facts | {"name_hash": erasure.name_hash(tenant_id, external_id)}, tenant_id)


async def name_of(document_id: UUID, tenant_id: UUID) -> str:
    """Return what the document is known by. Raises NotFound."""
    named = select(col(Document.external_id)).where(col(Document.id) == document_id)
    async with (await database()).transaction(tenant_id) as connection:
        name = await connection.scalar(named)
    if name is None:
        raise NotFound("There is no such document.")
    return name


async def _erase(connection: AsyncConnection, document_id: UUID, name: str) -> tuple[dict[str, int], list[str]]:
    """Delete the document, then what quotes it: an answer recorded meanwhile has held its row until now.

    Return how much went, and the files that quote it.
    """
    held = (await connection.execute(text(erasure.HELD), {"document": document_id})).mappings().one()
    await connection.execute(text(erasure.DOCUMENT), {"document": document_id})
    cited = f'[{{"document_id": "{document_id}"}}]'
    found = await connection.execute(text(erasure.QUOTING), {"document": str(document_id), "cited": cited})
    answers = found.all()
    citing = [answer.query_id for answer in answers if answer.cited]
    results = list(await connection.scalars(text(erasure.RESULTS), {"citing": citing}))
    quotes = await _counted(
        connection,
        erasure.QUOTES,
        document=str(document_id),
        name=name,
        citing=citing,
        quoting=[answer.query_id for answer in answers],
        texts=[answer.text for answer in answers if answer.cited],
    )
    return {"documents": 1, **{kind: int(count) for kind, count in held.items()}, **quotes}, results


async def _counted(connection: AsyncConnection, statements: dict[str, str], **values: Any) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name, statement in statements.items():
        wanted = {key: value for key, value in values.items() if f":{key}" in statement}
        counts[name] = (await connection.execute(text(statement), wanted)).rowcount
    return counts


async def drop_exports(connection: AsyncConnection, tenant_id: UUID) -> int:
    """Let go of a tenant's exports, which hold what was just deleted, and return how many."""
    exports = await asyncio.to_thread(lambda: list(bucket().files(tenant_id, FOLDER)))
    return await let_go(connection, exports, tenant_id)


async def let_go(connection: AsyncConnection, originals: list[str], tenant_id: UUID) -> int:
    """Write into the outbox which files nobody needs any more."""
    unused = list(await connection.scalars(text(erasure.UNUSED), {"paths": originals}))
    at = {"at": datetime.now(UTC).isoformat()}
    rows = [{"id": uuid4(), "tenant_id": tenant_id, "kind": REMOVAL, "payload": {"path": path} | at} for path in unused]
    if rows:
        await connection.execute(insert(Outbox), rows)
    return len(rows)


async def certify(connection: AsyncConnection, facts: dict[str, Any], tenant_id: UUID) -> Certificate:
    newest = select(col(DeletionCertificate.hash)).order_by(col(DeletionCertificate.created_at).desc()).limit(1)
    previous = await connection.scalar(newest)
    now = (await connection.execute(select(func.clock_timestamp()))).scalar_one()
    facts = {"id": uuid4(), "created_at": now.astimezone(UTC), **facts}
    certificate = Certificate(**facts, previous_hash=previous, hash=erasure.seal(facts, previous))
    await connection.execute(insert(DeletionCertificate).values(tenant_id=tenant_id, **certificate.model_dump()))
    return certificate


async def list_certificates(tenant_id: UUID, *, limit: int) -> list[Certificate]:
    """Return what was deleted, the newest first."""
    columns = [getattr(DeletionCertificate, name) for name in Certificate.model_fields]
    newest = sqlalchemy.select(*columns).order_by(col(DeletionCertificate.created_at).desc()).limit(limit)
    async with (await database()).transaction(tenant_id) as connection:
        return [Certificate(**row) for row in (await connection.execute(newest)).mappings()]
