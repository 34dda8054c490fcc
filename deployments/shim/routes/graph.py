"""The graph of documents: what refers to what."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel

from deployments.shim.identity import Principal, may
from kowai.relations import KINDS, Kind
from tasks import relate
from tasks.relate import Edge

router = APIRouter(prefix="/api/v1", tags=["graph"])

Reader = Annotated[Principal, Depends(may("documents.read"))]
Steps = Annotated[int, Query(ge=1, le=5, description="How many steps away.")]
Kinds = Annotated[list[Kind] | None, Query(description="Links, imports, calls, mentions; default: all.")]


class Edges(BaseModel):
    edges: list[Edge]


@router.get("/graph")
async def get_neighbours(
    document: Annotated[str, Query(description="The document's external_id.")],
    caller: Reader,
    depth: Steps = 1,
    direction: Literal["out", "in"] = "out",
    kind: Kinds = None,
) -> Edges:
    """Return what a document refers to, or what refers to it, with the characters that say so."""
    incoming = direction == "in"
    found = await relate.neighbours(document, caller.tenant_id, depth=depth, incoming=incoming, kinds=kind or KINDS)
    return Edges(edges=found)


@router.get("/graph/path")
async def get_path(start: str, finish: str, caller: Reader, depth: Steps = 4, kind: Kinds = None) -> Edges:
    """Return the shortest way from one document to another; no edges when there is none."""
    return Edges(edges=await relate.path(start, finish, caller.tenant_id, depth=depth, kinds=kind or KINDS))


@router.get("/graph/export")
async def export(caller: Reader, form: Literal["csv", "cypher"] = "csv") -> Response:
    """Return every reference, for Neo4j: as CSV or as Cypher."""
    media_type = "text/csv" if form == "csv" else "text/plain"
    return Response(await relate.export(caller.tenant_id, form), media_type=media_type)
