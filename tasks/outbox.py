"""What leaves the database: effects on other systems, held until they are delivered."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col, select

from blocks.compiled import Compiled
from blocks.connections import database
from kowai.errors import KowaiError
from kowai.tables.identity import Tenant
from kowai.tables.ledger import Outbox

# What is done in the transaction that stores a subject, given its id: all of it is kept, or nothing.
Along = Callable[[AsyncConnection, UUID], Awaitable[None]]


def together(*effects: Along | None) -> Along:
    """Return what has several effects in the same transaction."""

    async def carry_out(connection: AsyncConnection, subject_id: UUID) -> None:
        for effect in effects:
            if effect is not None:
                await effect(connection, subject_id)

    return carry_out


LONGEST_DELAY = timedelta(minutes=10)

# One document is a seventh of the driver's work that lists of documents are, whose every quotation mark it escapes.
PLACE = Compiled(
    text(
        "insert into outbox (id, tenant_id, kind, payload, attempts, due_at)"
        " select id, :tenant, :kind, payload, 0, due_at from jsonb_to_recordset(cast(:entries as jsonb))"
        " as placed (id uuid, payload jsonb, due_at timestamptz)"
        " on conflict (id) do update"
        " set payload = excluded.payload, due_at = excluded.due_at, delivered_at = null"
    )
)
DELIVERED = text("update outbox set delivered_at = :now, attempts = attempts + 1 where id = any(:ids)")
PUT_OFF = text(
    "update outbox set due_at = now() + make_interval(secs => least(power(2, least(attempts, 30)), :longest)),"
    " attempts = attempts + 1 where id = any(:ids)"
)
NOTE_RUNS = text(
    "with told as (select * from unnest(cast(:ids as uuid[]), cast(:runs as uuid[])) as t (id, run)),"
    " noted as (update query q set flow_run_id = told.run from told where q.id = told.id),"
    " begun as (update workflow_run w set flow_run_id = told.run from told where w.id = told.id),"
    " marked as (update batch b set flow_run_id = told.run from told where b.id = told.id)"
    " update ingestion i set flow_run_id = told.run from told where i.id = told.id"
)


class Entry(NamedTuple):
    """Hold an effect that is due after the delay."""

    id: UUID
    payload: dict[str, Any]
    delay_seconds: float = 0

    def row(self, now: datetime) -> dict[str, Any]:
        due_at = now + timedelta(seconds=self.delay_seconds)
        return {"id": str(self.id), "payload": self.payload, "due_at": due_at.isoformat()}


async def put(kind: str, entries: Sequence[Entry], tenant_id: UUID, *, durable: bool = True) -> None:
    """Write or replace entries in one transaction."""
    async with (await database()).transaction(tenant_id, durable=durable, by_key=True) as connection:
        await place(connection, kind, entries, tenant_id)


async def place(connection: AsyncConnection, kind: str, entries: Sequence[Entry], tenant_id: UUID) -> None:
    """Write or replace entries in the transaction of what they follow from."""
    rows = [entry.row(datetime.now(UTC)) for entry in entries]
    PLACE.later(connection, {"tenant": tenant_id, "kind": kind, "entries": json.dumps(rows)})


class Held(NamedTuple):
    """Hold due entries by their ids, the transaction in which their delivery is noted, and which were delivered."""

    payloads: dict[UUID, dict[str, Any]]
    connection: AsyncConnection
    delivered: set[UUID]


@asynccontextmanager
async def delivery(entry_ids: Sequence[UUID], tenant_id: UUID) -> AsyncGenerator[Held]:
    """Hold those of a tenant's entries that are due and no other process holds, while they are delivered.

    What the block does not note as delivered is put off, also by a KowaiError; another error leaves all as it was.
    """
    now = datetime.now(UTC)
    still_open = (col(Outbox.id).in_(entry_ids), col(Outbox.delivered_at).is_(None), col(Outbox.due_at) <= now)
    claim = select(col(Outbox.id), col(Outbox.payload)).where(*still_open).with_for_update(skip_locked=True)
    async with (await database()).transaction(tenant_id) as connection:
        payloads = {row.id: row.payload for row in await connection.execute(claim)}
        held = Held(payloads, connection, set())
        with suppress(KowaiError):
            yield held
        delivered = [entry_id for entry_id in payloads if entry_id in held.delivered]
        put_off = [entry_id for entry_id in payloads if entry_id not in held.delivered]
        if delivered:
            await connection.execute(DELIVERED, {"ids": delivered, "now": now})
        if put_off:
            await connection.execute(PUT_OFF, {"ids": put_off, "longest": LONGEST_DELAY.total_seconds()})


async def due(kind: str, *, limit: int = 500) -> list[tuple[UUID, UUID]]:
    """Return (entry id, tenant id) of what is due, tenant by tenant."""
    store, found = await database(), list[tuple[UUID, UUID]]()
    async with store.connection() as connection:
        tenants = (await connection.scalars(select(col(Tenant.id)).where(col(Tenant.suspended).is_(False)))).all()
    for tenant_id in tenants:
        open_entry = (col(Outbox.kind) == kind, col(Outbox.delivered_at).is_(None))
        waiting = select(col(Outbox.id)).where(*open_entry, col(Outbox.due_at) <= datetime.now(UTC))
        async with store.transaction(tenant_id) as connection:
            entries = await connection.scalars(waiting.order_by("due_at").limit(limit))
            found += [(entry_id, tenant_id) for entry_id in entries]
    return found


async def note_runs(connection: AsyncConnection, runs: Mapping[UUID, UUID]) -> None:
    """Write onto queries, ingestions and batches which run in Prefect each of them belongs to."""
    await connection.execute(NOTE_RUNS, {"ids": [*runs], "runs": [*runs.values()]})
