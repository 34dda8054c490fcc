"""Take what is next of a batch or team when it is its tenant's turn; what a dead worker left behind is taken again."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

from prefect.context import FlowRunContext
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from blocks.connections import database
from kowai.errors import InvalidInput, Unavailable
from kowai.settings import settings
from kowai.tables.queries import Query
from tasks import turns_sql
from tasks.limits import allowed
from tasks.receive import Inquiry
from tasks.step import step

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 0.5


@step
async def claim_item(batch_id: UUID, tenant_id: UUID) -> UUID | None:
    """Wait for a turn, store the item's question and return its id; None when nothing is queued or running any more."""
    pause = FIRST_PAUSE
    while True:
        async with (await database()).transaction(tenant_id) as connection:
            row = await _take(connection, batch_id, tenant_id)
            if row is not None:
                if await _stored(connection, row, tenant_id):
                    return row.id
                continue
            left = (await connection.execute(turns_sql.LEFT, {"batch": batch_id})).one()
            if not left.queued and not left.running:
                await connection.execute(turns_sql.YIELD, {"id": batch_id})
                return None
            if left.queued:
                await connection.execute(turns_sql.WAIT, {"batch": batch_id, "party": tenant_id})
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


async def _take(connection: AsyncConnection, batch_id: UUID, tenant_id: UUID) -> Any:
    values = {"batch": batch_id, "party": tenant_id, "slots": settings().batch_at_once}
    await connection.execute(turns_sql.ALONE)
    await connection.execute(turns_sql.FORGET)
    await connection.execute(turns_sql.BURY, {"batch": batch_id, "most": turns_sql.MOST_ATTEMPTS})
    limits = await connection.scalar(turns_sql.LIMITS, {"batch": batch_id})
    if await allowed(connection, batch_id, limits or {}) != "go":
        return None
    return (await connection.execute(turns_sql.TAKE, values)).one_or_none()


async def _stored(connection: AsyncConnection, item: Any, tenant_id: UUID) -> bool:
    """Store the item as a question under its own id; one that can no longer be asked is dead."""
    run = FlowRunContext.get()
    try:
        row = Inquiry(item.text, item.persona, asked_by=item.asked_by).row()
    except InvalidInput as error:
        values = {"id": item.id, "cause": error.code, "sentence": error.sentence}
        await connection.execute(turns_sql.DIE, values)
        await connection.execute(turns_sql.YIELD, {"id": item.id})
        return False
    row |= {"id": item.id, "tenant_id": tenant_id, "pins": item.pins}
    row |= {"flow_run_id": run.flow_run.id if run and run.flow_run else None}
    await connection.execute(postgresql.insert(Query).values(**row).on_conflict_do_nothing())
    return True


@step
async def close_item(item_id: UUID, tenant_id: UUID) -> None:
    """End the item as its question ended, and give its turn to the next."""
    async with (await database()).transaction(tenant_id) as connection:
        await connection.execute(turns_sql.CLOSE, {"id": item_id, "most": turns_sql.MOST_ATTEMPTS})
        await connection.execute(turns_sql.YIELD, {"id": item_id})


@asynccontextmanager
async def turn(subject: UUID, tenant_id: UUID) -> AsyncGenerator[None]:
    """Wait for a turn, keep it for as long as the block runs, and give it to the next."""
    pause = FIRST_PAUSE
    while not await _holds(subject, tenant_id):
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
    try:
        async with held(subject, tenant_id):
            yield
    finally:
        async with (await database()).transaction(tenant_id) as connection:
            await connection.execute(turns_sql.YIELD, {"id": subject})


async def _holds(subject: UUID, tenant_id: UUID) -> bool:
    values = {"id": subject, "party": tenant_id, "slots": settings().batch_at_once}
    async with (await database()).transaction(tenant_id) as connection:
        await connection.execute(turns_sql.ALONE)
        await connection.execute(turns_sql.FORGET)
        if await connection.scalar(turns_sql.HOLD, values):
            return True
        await connection.execute(turns_sql.WAIT, {"batch": subject, "party": tenant_id})
    return False


@asynccontextmanager
async def held(item_id: UUID, tenant_id: UUID) -> AsyncGenerator[None]:
    """Keep the item's turn for as long as the block runs."""

    async def renew() -> None:
        while True:
            await asyncio.sleep(turns_sql.LEASE_SECONDS / 3)
            with suppress(Unavailable):
                async with (await database()).transaction(tenant_id) as connection:
                    await connection.execute(turns_sql.RENEW, {"id": item_id})

    renewal = asyncio.create_task(renew())
    try:
        yield
    finally:
        renewal.cancel()
