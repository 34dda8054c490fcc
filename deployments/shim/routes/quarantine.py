"""The review queue: documents that guards hold back, which nobody's question finds until they are released."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel

from deployments.shim.identity import Principal, may
from deployments.shim.ingestions import DEPLOYMENT
from deployments.shim.runs import Runs
from flows.ingest import ingest_stored
from tasks.review import Held, State, decide, list_held, read_held

router = APIRouter(prefix="/api/v1", tags=["guards"])

Reviewer = Annotated[Principal, Depends(may("documents.review"))]


class HeldDocuments(BaseModel):
    documents: list[Held]


@router.get("/quarantine")
async def list_quarantine(
    caller: Reviewer,
    state: Annotated[
        State, Query(description="Those that wait, or those that somebody has decided about.")
    ] = "waiting",
    limit: Annotated[int, Query(ge=1, le=1000, description="How many at most.")] = 100,
) -> HeldDocuments:
    """List documents that guards held back, the oldest first, each with the passages that were seen."""
    return HeldDocuments(documents=await list_held(caller.tenant_id, state=state, limit=limit))


@router.get("/quarantine/{held_id}")
async def get_held(held_id: UUID, caller: Reviewer) -> Held:
    """Return one document that was held back."""
    return await read_held(held_id, caller.tenant_id)


@router.post("/quarantine/{held_id}/release")
async def release(held_id: UUID, caller: Reviewer, request: Request) -> Held:
    """Index this content of the document; answered when it can be found."""
    runs: Runs = request.app.state.runs
    ingestion_id = await decide(held_id, caller.tenant_id, release=True, by=caller.id)
    if ingestion_id is not None:
        await runs.run(ingest_stored, DEPLOYMENT, tenant_id=caller.tenant_id, ingestion_id=ingestion_id)
    return await read_held(held_id, caller.tenant_id)


@router.post("/quarantine/{held_id}/reject")
async def reject(held_id: UUID, caller: Reviewer) -> Held:
    """Leave this content out for good; it is dead whenever it comes again."""
    await decide(held_id, caller.tenant_id, release=False, by=caller.id)
    return await read_held(held_id, caller.tenant_id)
