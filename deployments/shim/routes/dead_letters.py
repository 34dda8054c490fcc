"""Documents that could not be indexed, and another chance for them."""

from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from deployments.shim.identity import Principal, may
from deployments.shim.ingestions import DEPLOYMENT, Mode
from deployments.shim.ledgers import read_ledger
from deployments.shim.repeats import Repeatable, awaited
from deployments.shim.runs import Runs
from flows.ingest import ingest_stored
from tasks.documents import DeadLetter, list_dead_letters
from tasks.idempotency import Claim, settling
from tasks.revive import find_revival, revive

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
async def replay(wanted: Replay, caller: Writer, request: Request, repeats: Repeatable) -> Replayed:
    """Queue dead letters again and ingest them."""
    runs: Runs = request.app.state.runs
    chosen: dict[str, Any] = {"ids": wanted.ids, "causes": wanted.causes, "every": not wanted.ids and not wanted.causes}

    async def receive(claimed: Claim | None) -> UUID:
        return (await revive(caller.tenant_id, **chosen, along=settling(claimed))).id

    revival_id, earlier = await repeats.once([":replay", wanted.model_dump(mode="json")], caller, receive)
    revival = await find_revival(revival_id, caller.tenant_id)
    for ingestion_id in revival.ingestion_ids:
        subject: dict[str, Any] = {"tenant_id": caller.tenant_id, "ingestion_id": ingestion_id}
        if wanted.mode == "background" and not earlier:
            await runs.start(DEPLOYMENT, **subject)
        elif not earlier:
            await runs.run(ingest_stored, DEPLOYMENT, **subject)
        elif wanted.mode == "sync":
            await awaited(partial(read_ledger, ingestion_id, caller.tenant_id), lambda it: it.finished_at is not None)
    return Replayed(ingestion_ids=revival.ingestion_ids, dead_letters=await list_dead_letters(caller.tenant_id))
