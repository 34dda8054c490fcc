"""What leaves the database: effects on other systems, held until they are delivered."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.dialects import postgresql
from sqlmodel import col, select

from blocks.connections import database
from kowai.errors import KowaiError
from kowai.tables.identity import Tenant
from kowai.tables.ingestion import Ingestion
from kowai.tables.ledger import Outbox
from kowai.tables.queries import Query

LONGEST_DELAY = timedelta(minutes=10)


async def put(
    kind: str,
    entry_id: UUID,
    tenant_id: UUID,
    payload: dict[str, Any],
    *,
    delay_seconds: float = 0,
    durable: bool = True,
) -> None:
    """Write or replace one entry, due after the delay."""
    due_at = datetime.now(UTC) + timedelta(seconds=delay_seconds)
    content: dict[str, Any] = {"payload": payload, "due_at": due_at}
    entry = postgresql.insert(Outbox).values(id=entry_id, tenant_id=tenant_id, kind=kind, **content)
    replaced = entry.on_conflict_do_update(index_elements=["id"], set_=content | {"delivered_at": None})
    async with (await database()).transaction(tenant_id, durable=durable) as connection:
        await connection.execute(replaced)


@asynccontextmanager
async def delivery(entry_id: UUID, tenant_id: UUID) -> AsyncGenerator[dict[str, Any] | None]:
    """Hold one due entry while it is delivered: a KowaiError puts it off, anything else leaves it as it was.

    Yields None when the entry is delivered, not due or held by another process.
    """
    now = datetime.now(UTC)
    open_entry = (col(Outbox.id) == entry_id, col(Outbox.delivered_at).is_(None), col(Outbox.due_at) <= now)
    claim = select(col(Outbox.payload), col(Outbox.attempts)).where(*open_entry).with_for_update(skip_locked=True)
    change = update(Outbox).where(col(Outbox.id) == entry_id)
    async with (await database()).transaction(tenant_id) as connection:
        row = (await connection.execute(claim)).one_or_none()
        if row is None:
            yield None
            return
        try:
            yield row.payload
            await connection.execute(change.values(delivered_at=now, attempts=row.attempts + 1))
        except KowaiError:
            delay = min(timedelta(seconds=2**row.attempts), LONGEST_DELAY)
            await connection.execute(change.values(due_at=now + delay, attempts=row.attempts + 1))


async def due(kind: str, *, limit: int = 500) -> list[tuple[UUID, UUID]]:
    """Return (entry id, tenant id) of what is due, tenant by tenant."""
    store, found = await database(), list[tuple[UUID, UUID]]()
    async with store.engine().connect() as connection:
        tenants = (await connection.scalars(select(col(Tenant.id)))).all()
    for tenant_id in tenants:
        open_entry = (col(Outbox.kind) == kind, col(Outbox.delivered_at).is_(None))
        waiting = select(col(Outbox.id)).where(*open_entry, col(Outbox.due_at) <= datetime.now(UTC))
        async with store.transaction(tenant_id) as connection:
            entries = await connection.scalars(waiting.order_by("due_at").limit(limit))
            found += [(entry_id, tenant_id) for entry_id in entries]
    return found


async def note_run(subject_id: UUID, tenant_id: UUID, flow_run_id: UUID) -> None:
    """Write onto a query or an ingestion which run in Prefect it belongs to."""
    async with (await database()).transaction(tenant_id, durable=False) as connection:
        for table in (Query, Ingestion):
            await connection.execute(update(table).where(col(table.id) == subject_id).values(flow_run_id=flow_run_id))
