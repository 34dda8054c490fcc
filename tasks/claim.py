"""Take the next items of an ingestion; what a dead worker left behind is taken again."""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import and_, or_, update
from sqlmodel import col, select

from blocks.connections import database
from kowai.tables.ingestion import IngestionItem as Row
from tasks.step import step

LEASE = timedelta(minutes=15)


class Item(NamedTuple):
    """Name one document to be read: its id, what it is known by and where its bytes are."""

    id: UUID
    uri: str
    details: dict[str, Any]


@step
async def claim(ingestion_id: UUID, tenant_id: UUID, limit: int) -> list[Item]:
    """Mark up to `limit` items as running and return them; none are left when the list is empty."""
    now = datetime.now(UTC)
    abandoned = and_(col(Row.state) == "running", col(Row.claimed_at) < now - LEASE)
    waiting = (col(Row.ingestion_id) == ingestion_id, or_(col(Row.state) == "queued", abandoned))
    next_items = select(col(Row.id)).where(*waiting).order_by(col(Row.created_at), col(Row.id))
    claimed = (
        update(Row)
        .where(col(Row.id).in_(next_items.limit(limit).with_for_update(skip_locked=True)))
        .values(state="running", claimed_at=now, attempts=Row.attempts + 1)
        .returning(col(Row.id), col(Row.uri), col(Row.details))
    )
    async with (await database()).transaction(tenant_id) as connection:
        return [Item(*row) for row in await connection.execute(claimed)]
