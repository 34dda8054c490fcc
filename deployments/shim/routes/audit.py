"""The audit log, as a tenant's admins see it."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from deployments.shim.identity import Principal, may
from tasks.audit import read_links, verify_log

router = APIRouter(prefix="/api/v1/audit", tags=["audit"])

Auditor = Annotated[Principal, Depends(may("audit.read"))]


class Entry(BaseModel):
    """Say who did what, when, from where and how it ended."""

    number: int
    at: datetime
    actor: UUID | None = Field(description="A user's or a key's id.")
    name: str
    permission: str
    action: str
    target: str
    status: int
    address: str
    previous: str
    hash: str


class Chain(BaseModel):
    """Say whether the log holds. Keep `head` elsewhere: it also shows whether the log's end was cut off."""

    entries: int
    head: str
    broken_at: int | None = Field(description="The first entry that was changed, moved, put in or lost.")


@router.get("")
async def read_audit(
    caller: Auditor,
    after: Annotated[int, Query(ge=0, le=2**62, description="The number of the last entry you have.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[Entry]:
    """List what was done, oldest first."""
    links = await read_links(caller.tenant_id, after, limit)
    return [Entry(number=link.number, previous=link.previous, hash=link.hash, **link.deed._asdict()) for link in links]


@router.get("/verify")
async def verify_audit(caller: Auditor) -> Chain:
    """Recompute the whole chain and name the first entry that does not hold."""
    return Chain.model_validate((await verify_log(caller.tenant_id))._asdict())
