"""Documents that could not be indexed, and another chance for them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from deployments.shim.identity import Principal, may
from deployments.shim.ingestions import DEPLOYMENT, Mode
from deployments.shim.runs import Runs
from flows.ingest import ingest_stored
from tasks.documents import DeadLetter, list_dead_letters
from tasks.revive import revive

router = APIRouter(prefix="/api/v1", tags=["documents"])

Reader = Annotated[Principal, Depends(may("documents.read"))]
Writer = Annotated[Principal, Depends(may("documents.write"))]


class DeadLetters(BaseModel):
    dead_letters: list[DeadLetter]


class Replay(BaseModel):
    """Choose dead letters by id or cause; neither means every one."""

    model_config = ConfigDict(extra="forbid")

    ids: list[UUID] = Field(default_factory=list[UUID], description="The dead letters to replay.")
    causes: list[str] = Field(default_factory=list[str], description="Replay all that died of these causes.")
    mode: Mode = Field("sync", description="Wait for the end, or leave it to a worker.")


class Replayed(BaseModel):
    """Name the ingestions that were taken up again, and the dead letters that remain."""

    ingestion_ids: list[UUID]
    dead_letters: list[DeadLetter]


@router.get("/dead-letters")
async def get_dead_letters(
    caller: Reader,
    cause: Annotated[str, Query(description="Only those that died of this.")] = "",
    limit: Annotated[int, Query(ge=1, le=1000, description="How many at most.")] = 100,
) -> DeadLetters:
    """List what could not be indexed: why, how often it was tried and what to do about it."""
    return DeadLetters(dead_letters=await list_dead_letters(caller.tenant_id, cause=cause, limit=limit))


@router.post("/dead-letters:replay")
async def replay(wanted: Replay, caller: Writer, request: Request) -> Replayed:
    """Queue dead letters again and ingest them."""
    runs: Runs = request.app.state.runs
    every = not wanted.ids and not wanted.causes
    ingestion_ids = await revive(caller.tenant_id, ids=wanted.ids, causes=wanted.causes, every=every)
    for ingestion_id in ingestion_ids:
        if wanted.mode == "background":
            await runs.start(DEPLOYMENT, tenant_id=caller.tenant_id, ingestion_id=ingestion_id)
        else:
            await runs.run(ingest_stored, DEPLOYMENT, tenant_id=caller.tenant_id, ingestion_id=ingestion_id)
    return Replayed(ingestion_ids=ingestion_ids, dead_letters=await list_dead_letters(caller.tenant_id))
