"""The event log, as a tenant's operators see it."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel
from sqlalchemy import text

from blocks.connections import database
from deployments.shim.identity import Principal, may

router = APIRouter(prefix="/api/v1", tags=["events"])
NEWEST = text("""
select sequence, subject, kind, payload, created_at from event
where tenant_id = :tenant and sequence < :before and (:kind = '' or kind = :kind)
  and (cast(:subject as uuid) is null or subject = :subject)
order by sequence desc limit :limit
""")

Operator = Annotated[Principal, Depends(may("events.read"))]


class EventView(BaseModel):
    """State one fact about a question, a document or whatever else has the subject's id."""

    sequence: int
    subject: UUID
    kind: str
    payload: dict[str, Any]
    created_at: datetime


@router.get("/events")
async def list_events(
    caller: Operator,
    subject: Annotated[UUID | None, Query(description="Only facts about this one.")] = None,
    kind: Annotated[str, Query(max_length=50, pattern=r"^[a-z._-]*$", description="Only facts of this kind.")] = "",
    before: Annotated[int, Query(ge=1, le=2**62, description="The lowest sequence you have.")] = 2**62,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[EventView]:
    """List what happened, newest first; what guards saw is there by kinds and counts."""
    wanted = {"tenant": caller.tenant_id, "subject": subject, "kind": kind, "before": before, "limit": limit}
    async with (await database()).transaction(caller.tenant_id) as connection:
        return [EventView.model_validate(dict(row)) for row in (await connection.execute(NEWEST, wanted)).mappings()]
