"""Review what guards hold back: show it, release it for indexing, or reject it for good."""

from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import select, update
from sqlmodel import col

from blocks.connections import database
from kowai.errors import NotFound
from kowai.tables.ingestion import IngestionItem
from kowai.tables.quarantine import Quarantine
from tasks.inspect import REJECTED
from tasks.step import step

State = Literal["waiting", "released", "rejected"]


class SeenPassage(BaseModel):
    """Show what a guard saw at characters [start, end) of the document, with some text around it."""

    guard: str
    kind: str
    summary: str
    score: float
    start: int
    end: int
    before: str
    text: str
    after: str


class Held(BaseModel):
    """Show one document that is or was held back."""

    id: UUID
    external_id: str
    title: str | None
    state: State
    passages: list[SeenPassage]
    created_at: datetime
    reviewed_by: UUID | None
    reviewed_at: datetime | None


COLUMNS: list[Any] = [getattr(Quarantine, name) for name in Held.model_fields]


async def list_held(tenant_id: UUID, *, state: State = "waiting", limit: int = 100) -> list[Held]:
    """Return what is in that state, the oldest first."""
    found = select(*COLUMNS).where(col(Quarantine.state) == state).order_by(col(Quarantine.created_at)).limit(limit)
    async with (await database()).transaction(tenant_id) as connection:
        return [Held.model_validate(dict(row)) for row in (await connection.execute(found)).mappings()]


async def read_held(held_id: UUID, tenant_id: UUID) -> Held:
    """Return one document that was held back. Raises NotFound."""
    async with (await database()).transaction(tenant_id) as connection:
        found = await connection.execute(select(*COLUMNS).where(col(Quarantine.id) == held_id))
        row = found.mappings().one_or_none()
    if row is None:
        raise NotFound("There is no such document in the quarantine.")
    return Held.model_validate(dict(row))


@step
async def decide(held_id: UUID, tenant_id: UUID, *, release: bool, by: UUID | None) -> UUID | None:
    """Release or reject this content of a document; return the ingestion that has to go on, if one has.

    A released document is queued again; a rejected one is dead, and so is the same content whenever it comes again.
    Raises NotFound.
    """
    about = {"state": "released" if release else "rejected", "reviewed_by": by, "reviewed_at": datetime.now(UTC)}
    decided = update(Quarantine).where(col(Quarantine.id) == held_id).values(**about)
    end = (
        {"state": "queued", "cause": None, "sentence": None, "claimed_at": None}
        if release
        else {"state": "dead", "cause": "rejected", "sentence": REJECTED}
    )
    async with (await database()).transaction(tenant_id) as connection:
        found = (await connection.execute(decided.returning(col(Quarantine.item_id)))).one_or_none()
        if found is None:
            raise NotFound("There is no such document in the quarantine.")
        waiting = (col(IngestionItem.id) == found[0], col(IngestionItem.state) == "quarantined")
        moved = update(IngestionItem).where(*waiting).values(**end).returning(col(IngestionItem.ingestion_id))
        ingestion_id = await connection.scalar(moved)
    return ingestion_id if release else None
