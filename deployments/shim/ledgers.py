"""What an ingestion looks like to whoever started it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field
from sqlmodel import col, select

from blocks.connections import database
from kowai.errors import NotFound
from kowai.tables.ingestion import Ingestion
from kowai.types import ItemState
from tasks.report import count_items, list_items

LISTED = 1000
HEAD = select(col(Ingestion.flow_run_id), col(Ingestion.finished_at))


class ItemView(BaseModel):
    uri: str
    state: ItemState
    cause: str | None
    sentence: str | None
    document_id: UUID | None


class Ledger(BaseModel):
    """Account for every accepted document: accepted = indexed + unchanged + quarantined + dead + in_progress."""

    ingestion_id: UUID
    accepted: int
    indexed: int
    unchanged: int
    quarantined: int = 0
    dead: int
    in_progress: int
    items: list[ItemView]
    flow_run_id: UUID | None
    finished_at: datetime | None = Field(description="When it ended; null while it is under way.")


async def read_ledger(ingestion_id: UUID, tenant_id: UUID) -> Ledger:
    """Return an ingestion of this tenant with its first items, the dead ones before the others. Raises NotFound."""
    async with (await database()).transaction(tenant_id) as connection:
        found = await connection.execute(HEAD.where(col(Ingestion.id) == ingestion_id))
        row = found.mappings().one_or_none()
        if row is None:
            raise NotFound("There is no such ingestion.")
        counts = await count_items(connection, ingestion_id)
        items: list[dict[str, Any]] = await list_items(connection, ingestion_id, limit=LISTED)
    views = [ItemView.model_validate(item) for item in items]
    return Ledger(ingestion_id=ingestion_id, items=views, **row, **counts._asdict())
