"""Sources: where documents come from, how they are handled and when they are read again."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from blocks.sources import kinds
from deployments.shim.identity import Principal, may
from deployments.shim.ingestions import Wanted, ingest_once
from deployments.shim.ledgers import Ledger
from deployments.shim.repeats import Repeatable
from kowai.labels import Handling
from tasks import sources
from tasks.sources import KeptSource, Policy, Wishes

router = APIRouter(prefix="/api/v1", tags=["documents"])

Reader = Annotated[Principal, Depends(may("sources.read"))]
Writer = Annotated[Principal, Depends(may("sources.write"))]


class NewSource(Wishes):
    """Name a source; it is read when it is due, or at once by `POST /api/v1/sources/{id}:walk`."""

    uri: str = Field(min_length=1, max_length=4000, description="A folder, glob, file, URL, repository or block.")
    kind: str | None = Field(None, description="What kind of source it is, if not to be told from its URI.")


class Changes(BaseModel):
    """Name what is to change; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    options: dict[str, Any] | None = None
    handling: Handling | None = None
    cron: str | None = None
    timezone: str | None = None
    active: bool | None = None
    vanished: Policy | None = None


class Kind(BaseModel):
    """Describe a kind of source; `options` is the JSON schema of what it can be told."""

    name: str
    summary: str
    options: dict[str, Any]


class Listing(BaseModel):
    sources: list[KeptSource]
    kinds: list[Kind]


@router.get("/sources")
async def list_sources(caller: Reader) -> Listing:
    """List the sources that are kept, and the kinds there are."""
    known = [
        Kind(name=name, summary=kind.summary, options=kind.options.model_json_schema())
        for name, kind in kinds().items()
    ]
    return Listing(sources=await sources.list_sources(caller.tenant_id), kinds=known)


@router.post("/sources", status_code=201)
async def add_source(wanted: NewSource, caller: Writer) -> KeptSource:
    """Keep a source and walk it by its schedule."""
    wishes = Wishes.model_validate(wanted.model_dump(exclude={"uri", "kind"}))
    return await sources.keep_source(wanted.uri, caller.tenant_id, wanted.kind, wishes)


@router.get("/sources/{source_id}")
async def get_source(source_id: UUID, caller: Reader) -> KeptSource:
    return await sources.read_source(source_id, caller.tenant_id)


@router.patch("/sources/{source_id}")
async def change_source(source_id: UUID, changes: Changes, caller: Writer) -> KeptSource:
    """Change a source; other options or another handling have all of it read again. `cron` null is every night."""
    named = changes.model_dump(exclude_unset=True)
    told = {name: value for name, value in named.items() if value is not None or name == "cron"}
    return await sources.change_source(source_id, caller.tenant_id, told)


@router.delete("/sources/{source_id}", status_code=204)
async def drop_source(source_id: UUID, caller: Writer) -> None:
    """Walk a source no more; documents that came from it stay until they are deleted."""
    await sources.drop_source(source_id, caller.tenant_id)


@router.post("/sources/{source_id}:walk", status_code=202)
async def walk_source(
    source_id: UUID, caller: Writer, request: Request, response: Response, repeats: Repeatable
) -> Ledger:
    """Read a source now."""
    source = await sources.read_source(source_id, caller.tenant_id)
    wanted = Wanted(":walk", [{"uri": source.uri}], "background")
    return await ingest_once(wanted, caller, repeats, request=request, response=response)
