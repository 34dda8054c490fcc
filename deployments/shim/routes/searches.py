"""Passages without an answer."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from deployments.shim.identity import Principal, may
from kowai.questions import checked_question
from kowai.types import Passage
from tasks.history import note_on
from tasks.locate import locate
from tasks.retrieve import find_reranked
from tasks.search_sql import Extent

router = APIRouter(prefix="/api/v1", tags=["search"])

Searcher = Annotated[Principal, Depends(may("documents.search"))]


class Search(BaseModel):
    """Ask for the passages nearest to a text."""

    model_config = ConfigDict(extra="forbid")

    query: str = Field(description="Up to 8,000 characters.")
    k: int = Field(10, ge=1, le=1000, description="How many passages.")
    min_score: float = Field(0.0, ge=0, le=1, description="How well a passage must match, on the scale of `score`.")
    neighbours: int = Field(
        0, ge=0, le=5, description="How many chunks before and after, of the same heading, to join."
    )
    reranker: str | None = Field(
        None, max_length=200, description="Let this reranker of the language-model block put the best in order."
    )
    filters: dict[str, Any] = Field(default_factory=dict[str, Any], description="Which documents may be searched.")
    as_of: datetime | None = Field(None, description="Search what was known at this moment; default: now.")


class Passages(BaseModel):
    passages: list[Passage]
    note: str | None = Field(
        None, description="What was missing: knowledge of `as_of` that retention has taken, or the reranker."
    )


@router.post("/search")
async def search(wanted: Search, caller: Searcher) -> Passages:
    """Return the best passages, best first, with where they come from and how well they match."""
    text = checked_question(wanted.query)
    filters = wanted.filters | ({"as_of": wanted.as_of.isoformat()} if wanted.as_of else {})
    extent = Extent(wanted.min_score, wanted.neighbours)
    asked: dict[str, Any] = {"k": wanted.k, "filters": filters, "extent": extent}
    found, missing, *_ = await find_reranked(text, caller.tenant_id, wanted.reranker, **asked)
    notes = (missing, await note_on(filters, caller.tenant_id))
    said = " ".join(each for each in notes if each) or None
    return Passages(passages=await locate(found, caller.tenant_id), note=said)
