"""The turns of a conversation: numbered as they arrive, answered one after the other, whichever process answers.

A turn waits while an earlier one is open. Whoever waits or answers renews the turn's lease, so that one whose process
died is passed over when its lease has run out; what its process might still say is then no longer taken.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased
from sqlmodel import col

from blocks.connections import database
from kowai.errors import NotFound, Unavailable
from kowai.tables.conversations import Conversation
from kowai.tables.queries import Query
from tasks import event_log

OPEN = ("queued", "running")
LAPSED = "turn_lapsed"
SENTENCE = "The process that was answering this stopped, and the conversation went on without it. Ask again."
LEASE = timedelta(seconds=30)
QUEUED = timedelta(minutes=15)  # what waits for a worker has no process yet that could renew it
TITLE = 80


def leased(period: timedelta = LEASE) -> ColumnElement[datetime]:
    """Return the end of a lease that begins now by the database's clock, the one that all processes share."""
    return func.now() + text(f"interval '{period.total_seconds():.0f} seconds'")


async def take_turn(connection: AsyncConnection, conversation_id: UUID, caller: UUID | None, asked: str) -> int:
    """Number the next turn; the row's lock makes the numbers the order of arrival. Raises NotFound."""
    mine = (col(Conversation.id) == conversation_id, col(Conversation.created_by) == caller)
    title = func.coalesce(col(Conversation.title), " ".join(asked.split())[:TITLE])
    taken = update(Conversation).where(*mine).values(turns=col(Conversation.turns) + 1, title=title)
    turn = await connection.scalar(taken.returning(col(Conversation.turns)))
    if turn is None:
        raise NotFound("There is no such conversation.")
    return turn


def turns_ahead() -> ColumnElement[int]:
    """Count the open turns that a query of a conversation has to wait for."""
    earlier: Any = aliased(Query)
    before = (earlier.conversation_id == col(Query.conversation_id), earlier.turn < col(Query.turn))
    is_open = or_(*(earlier.status == status for status in OPEN))
    counted = select(func.count()).select_from(earlier).where(*before, is_open)
    return counted.correlate(Query).scalar_subquery()


async def pass_over(connection: AsyncConnection, tenant_id: UUID, conversation_id: UUID, turn: int) -> None:
    """Close the turns before `turn` whose lease has run out."""
    before = (col(Query.conversation_id) == conversation_id, col(Query.turn) < turn, col(Query.status).in_(OPEN))
    closing: dict[str, Any] = {"status": "failed", "refusal": LAPSED, "sentence": SENTENCE, "finished_at": func.now()}
    lapsed = update(Query).where(*before, col(Query.leased_until) < func.now()).values(**closing)
    for query_id in (await connection.scalars(lapsed.returning(col(Query.id)))).all():
        await event_log.append(connection, query_id, tenant_id, "query.failed")


@asynccontextmanager
async def kept_turn(query_id: UUID, tenant_id: UUID) -> AsyncGenerator[None]:
    """Renew the query's lease for as long as the block runs."""
    renewal = asyncio.create_task(_renew(query_id, tenant_id))
    try:
        yield
    finally:
        renewal.cancel()
        with suppress(asyncio.CancelledError):
            await renewal


async def _renew(query_id: UUID, tenant_id: UUID) -> None:
    while True:
        await asyncio.sleep(LEASE.total_seconds() / 3)
        renewed = update(Query).where(col(Query.id) == query_id, col(Query.status).in_(OPEN))
        with suppress(Unavailable):
            async with (await database()).transaction(tenant_id, durable=False) as connection:
                await connection.execute(renewed.values(leased_until=leased()))
