"""OpenAI's chat completions and models, so that its clients can talk to KowAI: a persona is a model."""

import time
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from deployments.shim.access import while_allowed
from deployments.shim.answers import READ, read_answer
from deployments.shim.identity import Principal, may
from deployments.shim.openai_answers import extras, text_of, usage_of
from deployments.shim.openai_stream import Chunks, ChunkStream
from deployments.shim.repeats import Effect, Repeatable, Repeats, awaited
from deployments.shim.routes.queries import CLOSED, DEPLOYMENT
from deployments.shim.runs import Opening, Runs
from deployments.shim.streams import Streams, place_for
from flows.answer import answer_query
from kowai.conversations import Turn
from kowai.errors import InvalidInput, NotFound, Unavailable
from kowai.personas import askable
from tasks.idempotency import Claim
from tasks.read_back import ReadBack, reading_back
from tasks.receive import Inquiry, receive_query

router = APIRouter(prefix="/v1", tags=["OpenAI-compatible"])

Asker = Annotated[Principal, Depends(may("questions.ask"))]


class UnknownModel(NotFound):
    code, param = "model_not_found", "model"


class Unanswered(Unavailable):
    code = "unanswered"


class WrongLastMessage(InvalidInput):
    code, param = "invalid_messages", "messages"


class Part(BaseModel):
    model_config = ConfigDict(extra="ignore")
    type: str
    text: str = ""


class Message(BaseModel):
    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Part] | None = None

    def text(self) -> str:
        parts = self.content if isinstance(self.content, list) else []
        return self.content if isinstance(self.content, str) else " ".join(part.text for part in parts)


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="ignore")
    include_usage: bool = False


class Completion(BaseModel):
    """Ask a persona; sampling settings are accepted and have no effect on quoted answers."""

    model_config = ConfigDict(extra="ignore")

    model: str = Field(description=f"A persona: {', '.join(askable())}.")
    messages: list[Message] = Field(min_length=1, max_length=200)
    stream: bool = False
    stream_options: StreamOptions | None = None


@router.get("/models")
async def list_models(caller: Asker) -> dict[str, Any]:
    """List the personas as models."""
    models = [{"id": name, "object": "model", "created": 0, "owned_by": "kowai"} for name in askable()]
    return {"object": "list", "data": models}


@router.post("/chat/completions", response_model=None)
async def complete(
    wanted: Completion, caller: Asker, request: Request, repeats: Repeatable
) -> dict[str, Any] | ChunkStream:
    """Answer the last user message from the tenant's documents, with the turns before it as context.

    Under an `Idempotency-Key`, an answer that was streamed is told again from its beginning.
    """
    if wanted.model not in askable():
        raise UnknownModel(f"There is no model '{wanted.model}'; choose one of {', '.join(askable())}.")
    if wanted.stream:
        return await _stream(wanted, caller, repeats, request.app.state.streams)
    opened = Opening(DEPLOYMENT, caller.tenant_id, datetime.now(UTC))
    query_id, earlier = await _received(wanted, caller, repeats, opened)
    back = ReadBack(READ)
    if not earlier:
        runs: Runs = request.app.state.runs
        async with while_allowed(query_id, caller):
            with reading_back(back):
                await runs.run(answer_query, DEPLOYMENT, tenant_id=caller.tenant_id, opened=opened, query_id=query_id)
    answer = await awaited(partial(read_answer, query_id, caller.tenant_id, back), lambda found: found.status in CLOSED)
    if answer.status not in ("done", "refused"):
        raise Unanswered("The first request with this Idempotency-Key has no answer yet, or failed: send it again.")
    message = {"role": "assistant", "content": text_of(answer), **extras(answer)}
    return {
        "id": f"chatcmpl-{query_id}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": answer.persona,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage_of(answer),
    }


async def _received(wanted: Completion, caller: Principal, repeats: Repeats, opened: Opening) -> Effect:
    question = _inquiry(wanted, caller.id)

    async def receive(claimed: Claim | None) -> UUID:
        along = opened._replace(claimed=claimed).along("query_id")
        return await receive_query(question, caller.tenant_id, durable=False, along=along)

    return await repeats.once(["/chat/completions", wanted.model_dump(mode="json")], caller, receive)


async def _stream(wanted: Completion, caller: Principal, repeats: Repeats, streams: Streams) -> ChunkStream:
    include_usage = wanted.stream_options is not None and wanted.stream_options.include_usage
    opened = Opening(DEPLOYMENT, caller.tenant_id, datetime.now(UTC))
    async with place_for(caller) as place:
        query_id, earlier = await _received(wanted, caller, repeats, opened)
        if not earlier:
            streams.begin(query_id, opened, caller)
        told = streams.follow(query_id, caller)
        chunks = Chunks(query_id, wanted.model, include_usage=include_usage)
        return ChunkStream(chunks.of(told, partial(read_answer, query_id, caller.tenant_id)), place.pop_all())


def _inquiry(wanted: Completion, asked_by: UUID) -> Inquiry:
    *before, last = wanted.messages
    if last.role != "user":
        raise WrongLastMessage("The last message must be the user's.")
    turns = [
        Turn(role=message.role, text=message.text()) for message in before if message.role in ("user", "assistant")
    ]
    return Inquiry(last.text(), wanted.model, asked_by=asked_by, history=tuple(turns), streamed=wanted.stream)
