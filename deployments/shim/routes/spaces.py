"""Vector spaces: which there are, and moving all knowledge to another."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import text

from blocks.connections import database
from deployments.shim.handing_over import Task, hand_over
from deployments.shim.identity import Principal, may
from deployments.shim.repeats import Repeatable
from kowai import spaces
from tasks.outbox import Along
from tasks.reindex import begin_space
from tasks.step import traced

router = APIRouter(prefix="/api/v1", tags=["spaces"])
DEPLOYMENT = "reindex-stored/reindex-stored"

Keeper = Annotated[Principal, Depends(may("spaces.manage"))]


class Reindexing(BaseModel):
    """Name the embedder that documents and questions are to be embedded by."""

    model_config = ConfigDict(extra="forbid")

    embedder: str = Field("kowai", max_length=100, description="A Prefect block of type KowAI Embedder.")


class ListedSpace(BaseModel):
    """Show a space; `evaluation` says what share of stored answers' citations it finds, and the one before it."""

    public_id: UUID
    model: str
    dimensions: int
    embedder: str
    state: Literal["current", "building", "retired", "dropping"]
    evaluation: dict[str, Any]


class Spaces(BaseModel):
    spaces: list[ListedSpace]


@router.get("/spaces")
async def list_spaces(caller: Keeper) -> Spaces:
    """List the vector spaces, the current one first."""
    async with (await database()).transaction(caller.tenant_id) as connection:
        rows = (await connection.execute(text(spaces.LISTED))).mappings()
        return Spaces(spaces=[ListedSpace.model_validate(dict(row)) for row in rows])


@router.post("/reindex", status_code=202)
async def reindex(wanted: Reindexing, caller: Keeper, request: Request, repeats: Repeatable) -> Spaces:
    """Build the embedder's space beside the current one, for all tenants, and switch when it is as good."""

    async def store(*, along: Along) -> UUID:
        with traced():
            space = await begin_space(wanted.embedder)
        async with (await database()).transaction(caller.tenant_id) as connection:
            await along(connection, space.public_id)
        return space.public_id

    await hand_over(Task(DEPLOYMENT, "space_id", [wanted.embedder]), store, caller, repeats, request)
    return await list_spaces(caller)
