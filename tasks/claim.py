"""Take the next items of an ingestion; what a run that is gone left behind is taken again."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import and_, func, or_, text, update
from sqlmodel import col, select

from blocks.connections import database
from kowai import reconciling
from kowai.tables.ingestion import IngestionItem as Row
from tasks.step import patient_step


class Item(NamedTuple):
    """Name one document to be read: its id, what it is known by and where its bytes are.

    Whoever claims it again counts one `attempt` more, and what earlier ones still do is ignored.
    """

    id: UUID
    uri: str
    details: dict[str, Any]
    attempt: int


@dataclass
class Claimant:
    """Remember the one number that a run holds, whose workers claim at once."""

    number: int | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


_claimant: ContextVar[Claimant | None] = ContextVar("claimant", default=None)


@asynccontextmanager
async def at_work() -> AsyncGenerator[None]:
    """Hold what is claimed inside the block for as long as it runs; outside of any, nobody holds it."""
    claimant = Claimant()
    token = _claimant.set(claimant)
    try:
        yield
    finally:
        _claimant.reset(token)
        if claimant.number is not None:
            await (await database()).release(claimant.number)


async def own_number() -> int | None:
    """Return the number by which at_work() knows this run, held anew where it was lost; None outside of any."""
    claimant = _claimant.get()
    if claimant is None:
        return None
    async with claimant.turn:
        claimant.number = await (await database()).hold(claimant.number)
    return claimant.number


@patient_step
async def claim(ingestion_id: UUID, tenant_id: UUID, limit: int) -> list[Item]:
    """Mark up to `limit` items as running and return them; none are left when the list is empty."""
    store, me, by = await database(), await own_number(), col(Row.claimed_by)
    abandoned = and_(col(Row.state) == "running", or_(by.is_(None), and_(by.is_distinct_from(me), ~func.at_work(by))))
    waiting = (col(Row.ingestion_id) == ingestion_id, or_(col(Row.state) == "queued", abandoned))
    next_items = select(col(Row.id)).where(*waiting).order_by(col(Row.created_at), col(Row.id)).limit(limit)
    locked = next_items.with_for_update(skip_locked=True).cte("locked")  # PostgreSQL may run a subquery again and again
    claimed = (
        update(Row)
        .where(col(Row.id).in_(select(locked.c.id)))
        .values(state="running", claimed_at=datetime.now(UTC), claimed_by=me, attempts=Row.attempts + 1)
        .returning(col(Row.id), col(Row.uri), col(Row.details), col(Row.attempts))
    )
    async with store.transaction(tenant_id) as connection:
        await connection.execute(text(reconciling.BURY_IN), {"ingestion": ingestion_id})
        return [Item(*row) for row in await connection.execute(claimed)]
