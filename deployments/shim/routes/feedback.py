"""Thumbs and comments on answers."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from deployments.shim.identity import Principal, may
from tasks.feedback import give_feedback, list_feedback

router = APIRouter(prefix="/api/v1", tags=["feedback"])

Asker = Annotated[Principal, Depends(may("questions.ask"))]
Evaluator = Annotated[Principal, Depends(may("evaluations.read"))]

Rating = Literal["up", "down"]
Wanted = Annotated[Rating | None, Query(description="Only these; all when left out.")]
Limit = Annotated[int, Query(ge=1, le=1000, description="How many, the newest first.")]


class Opinion(BaseModel):
    """Rate an answer; a second rating by the same key replaces the first."""

    model_config = ConfigDict(extra="forbid")

    rating: Rating
    comment: str | None = Field(None, max_length=4000)


class Feedback(BaseModel):
    """Hold a rating with what it is about, as an evaluation needs it."""

    query_id: UUID
    rating: Rating
    comment: str | None
    created_at: datetime
    question: str
    answer: str
    persona: str
    model: str
    confidence: float | None
    abstained: bool


@router.post("/query/{query_id}/feedback", status_code=201)
async def rate(query_id: UUID, opinion: Opinion, caller: Asker) -> Opinion:
    """Say whether an answer was good, and why."""
    await give_feedback(query_id, caller.tenant_id, caller.id, opinion.rating, opinion.comment)
    return opinion


@router.get("/feedback")
async def get_feedback(caller: Evaluator, rating: Wanted = None, limit: Limit = 100) -> list[Feedback]:
    """List what callers of this tenant thought of answers."""
    found = await list_feedback(caller.tenant_id, rating, limit)
    return [Feedback.model_validate(row) for row in found]
