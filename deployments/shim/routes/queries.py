"""Questions and their answers."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from deployments.shim.answers import Answer, read_answer
from deployments.shim.identity import Principal, may
from deployments.shim.runs import Opening, Runs
from flows.answer import answer_query
from kowai.personas import askable
from tasks.receive import Inquiry, receive_query

router = APIRouter(prefix="/api/v1", tags=["queries"])
DEPLOYMENT = "answer-query/answer-query"

Asker = Annotated[Principal, Depends(may("questions.ask"))]
Reader = Annotated[Principal, Depends(may("questions.read"))]


class Asked(BaseModel):
    """Ask one question of the tenant's documents."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"query": "How long is the warranty?"}]})

    query: str = Field(
        validation_alias=AliasChoices("query", "question", "message"), description="Up to 8,000 characters."
    )
    persona: str = Field("assistant", description=f"Who answers: {', '.join(askable())}.")
    conversation_id: UUID | None = Field(None, description="The conversation it is the next turn of.")
    filters: dict[str, Any] = Field(default_factory=dict[str, Any], description="Which documents may be used.")
    as_of: datetime | None = Field(None, description="Answer from what was known at this moment; default: now.")


class Question(Asked):
    mode: Literal["sync", "background"] = Field("sync", description="Wait for the answer, or be told its id at once.")


@router.post("/query", responses={202: {"model": Answer, "description": "Accepted: ask for it by its id."}})
async def ask(question: Question, caller: Asker, request: Request, response: Response) -> Answer:
    """Answer now, in this process; or in the background, through the deployment."""
    runs: Runs = request.app.state.runs
    background = question.mode == "background"
    opened = Opening(DEPLOYMENT, caller.tenant_id, datetime.now(UTC), "SCHEDULED" if background else "CRASHED")
    query_id = await receive_query(
        inquiry(question, caller), caller.tenant_id, durable=background, along=opened.with_query
    )
    subject = {"tenant_id": caller.tenant_id, "query_id": query_id}
    if background:
        response.status_code = 202
        await runs.start(DEPLOYMENT, opened=opened, **subject)
    else:
        timing = await runs.run(answer_query, DEPLOYMENT, opened=opened, **subject)
        response.headers["Server-Timing"] = timing
    return await read_answer(query_id, caller.tenant_id)


@router.get("/query/{query_id}")
async def get_answer(query_id: UUID, caller: Reader, request: Request) -> Answer:
    """Return a question's state and, once there is one, its answer; reading another's is written down."""
    answer = await read_answer(query_id, caller.tenant_id)
    request.state.anothers = answer.asked_by != caller.id
    return answer


def inquiry(asked: Asked, caller: Principal, *, streamed: bool = False) -> Inquiry:
    filters = asked.filters | ({"as_of": asked.as_of.isoformat()} if asked.as_of else {})
    return Inquiry(
        asked.query,
        asked.persona,
        filters,
        caller.id,
        conversation_id=asked.conversation_id,
        streamed=streamed,
    )
