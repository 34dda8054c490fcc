"""What leaves the database: effects on other systems, held until they are delivered."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Executable, text, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col, select

from blocks.connections import database
from kowai.errors import KowaiError
from kowai.tables.identity import Tenant
from kowai.tables.ledger import Outbox

LONGEST_DELAY = timedelta(minutes=10)

NOTE_RUN = text(
    "with noted as (update query set flow_run_id = :run where id = :id),"
    " marked as (update batch set flow_run_id = :run where id = :id)"
    " update ingestion set flow_run_id = :run where id = :id"
)


class Entry(NamedTuple):
    """Hold an effect that is due after the delay."""

    id: UUID
    payload: dict[str, Any]
    delay_seconds: float = 0


async def put(kind: str, entries: Sequence[Entry], tenant_id: UUID, *, durable: bool = True) -> None:
    """Write or replace entries in one transaction."""
    async with (await database()).transaction(tenant_id, durable=durable) as connection:
        await connection.execute(placing(kind, entries, tenant_id))


def placing(kind: str, entries: Sequence[Entry], tenant_id: UUID) -> Executable:
    """Return the statement that writes or replaces entries, for the transaction of what they follow from."""
    now, kept = datetime.now(UTC), {"tenant_id": tenant_id, "kind": kind}
    rows = [
        {"id": entry.id, "payload": entry.payload, "due_at": now + timedelta(seconds=entry.delay_seconds), **kept}
        for entry in entries
    ]
    placed = postgresql.insert(Outbox).values(rows)
    renewed = {"payload": placed.excluded.payload, "due_at": placed.excluded.due_at, "delivered_at": None}
    return placed.on_conflict_do_update(index_elements=["id"], set_=renewed)


class Held(NamedTuple):
    """Hold a due entry, and the transaction in which its delivery is noted."""

    payload: dict[str, Any]
    connection: AsyncConnection


@asynccontextmanager
async def delivery(entry_id: UUID, tenant_id: UUID) -> AsyncGenerator[Held | None]:
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
            yield Held(row.payload, connection)
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


async def note_run(connection: AsyncConnection, subject_id: UUID, flow_run_id: UUID) -> None:
    """Write onto a query, an ingestion or a batch which run in Prefect it belongs to."""
    await connection.execute(NOTE_RUN, {"id": subject_id, "run": flow_run_id})
