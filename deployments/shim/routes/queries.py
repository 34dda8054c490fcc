"""Questions and their answers."""

from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from deployments.shim.access import while_allowed
from deployments.shim.answers import READ, Answer, read_answer
from deployments.shim.identity import Principal, may
from deployments.shim.repeats import Repeatable, Repeats, awaited
from deployments.shim.runs import Opening, Runs
from flows.answer import answer_query
from kowai.personas import askable
from tasks.idempotency import Claim
from tasks.read_back import ReadBack, reading_back
from tasks.receive import Inquiry, receive_query

router = APIRouter(prefix="/api/v1", tags=["queries"])
DEPLOYMENT = "answer-query/answer-query"
CLOSED = {"done", "refused", "failed", "stopped"}

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
async def ask(question: Question, caller: Asker, request: Request, response: Response, repeats: Repeatable) -> Answer:
    """Answer now, in this process; or in the background, through the deployment."""
    return await answer_once(question, caller, repeats, request=request, response=response)


async def answer_once(
    asked: Asked, caller: Principal, repeats: Repeats, *, request: Request, response: Response
) -> Answer:
    """Answer, or hand the question to a worker; a request that comes again is given the first one's answer."""
    runs: Runs = request.app.state.runs
    background = isinstance(asked, Question) and asked.mode == "background"
    opened = Opening(DEPLOYMENT, caller.tenant_id, datetime.now(UTC), "SCHEDULED" if background else "CRASHED")

    async def receive(claimed: Claim | None) -> UUID:
        along = opened._replace(claimed=claimed).along("query_id")
        return await receive_query(inquiry(asked, caller), caller.tenant_id, durable=background, along=along)

    query_id, earlier = await repeats.once([type(asked).__name__, asked.model_dump(mode="json")], caller, receive)
    subject, back = {"tenant_id": caller.tenant_id, "query_id": query_id}, ReadBack(READ)
    if background:
        await runs.start(DEPLOYMENT, opened=opened, **subject)
    elif not earlier:
        async with while_allowed(query_id, caller):
            with reading_back(back):
                timing = await runs.run(answer_query, DEPLOYMENT, opened=opened, **subject)
        response.headers["Server-Timing"] = timing
    read = partial(read_answer, query_id, caller.tenant_id, back)
    answer = await awaited(read, lambda found: background or found.status in CLOSED)
    if background or answer.status not in CLOSED:
        response.status_code = 202
    return answer


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
