"""OpenAI's chat completions, models and embeddings, so that its clients can talk to KowAI: a persona is a model."""

import json
from collections.abc import Iterator
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from deployments.shim.answers import Answer, read_answer
from deployments.shim.identity import Caller
from deployments.shim.queries import DEPLOYMENT
from deployments.shim.runs import Runs
from flows.answer import answer_query
from kowai.conversations import Turn
from kowai.errors import InvalidInput
from kowai.personas import personas
from tasks import metered
from tasks.receive import Inquiry, UnknownPersona, receive_query

router = APIRouter(prefix="/v1", tags=["OpenAI-compatible"])

PIECE = 24


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

    model: str = Field(description=f"A persona: {', '.join(personas())}.")
    messages: list[Message] = Field(min_length=1, max_length=200)
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()


class Embeddings(BaseModel):
    model_config = ConfigDict(extra="ignore")

    input: str | list[str] = Field(min_length=1)
    model: str = ""


@router.get("/models")
async def list_models(caller: Caller) -> dict[str, Any]:
    """List the personas as models."""
    models = [{"id": name, "object": "model", "created": 0, "owned_by": "kowai"} for name in personas()]
    return {"object": "list", "data": models}


@router.post("/chat/completions", response_model=None)
async def complete(wanted: Completion, caller: Caller, request: Request) -> dict[str, Any] | StreamingResponse:
    """Answer the last user message from the tenant's documents, with the turns before it as context."""
    if wanted.model not in personas():
        raise UnknownPersona(f"There is no model '{wanted.model}'; choose one of {', '.join(personas())}.")
    query_id = await receive_query(_inquiry(wanted, caller.key_id), caller.tenant_id, durable=False)
    runs: Runs = request.app.state.runs
    await runs.run(answer_query, DEPLOYMENT, tenant_id=caller.tenant_id, query_id=query_id)
    answer = await read_answer(query_id, caller.tenant_id)
    if wanted.stream:
        return StreamingResponse(_stream(answer, wanted), media_type="text/event-stream")
    choice = {"index": 0, "message": {"role": "assistant", **_spoken(answer)}, "finish_reason": "stop"}
    return _envelope(answer, "chat.completion") | {"choices": [choice], "usage": _usage(answer)}


@router.post("/embeddings")
async def embed(wanted: Embeddings, caller: Caller) -> dict[str, Any]:
    """Return the vectors that documents and questions are compared by."""
    texts = [wanted.input] if isinstance(wanted.input, str) else wanted.input
    vectors, space = await metered.embed(texts, purpose="document")
    data = [{"object": "embedding", "index": n, "embedding": row.tolist()} for n, row in enumerate(vectors)]
    return {"object": "list", "model": space.model, "data": data, "usage": {"prompt_tokens": 0, "total_tokens": 0}}


def _inquiry(wanted: Completion, key_id: UUID) -> Inquiry:
    *before, last = wanted.messages
    if last.role != "user":
        raise InvalidInput("The last message must be the user's.")
    turns = [
        Turn(role=message.role, text=message.text()) for message in before if message.role in ("user", "assistant")
    ]
    return Inquiry(last.text(), wanted.model, asked_by=key_id, history=tuple(turns))


def _envelope(answer: Answer, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{answer.query_id}", "object": kind, "created": 0, "model": answer.persona}


def _spoken(answer: Answer) -> dict[str, Any]:
    """Return the message's text with what it rests on, as an extension beside OpenAI's own fields."""
    text = answer.answer or (answer.error.message if answer.error else "")
    citations = [citation.model_dump(mode="json") for citation in answer.citations]
    return {"content": text, "citations": citations, "confidence": answer.confidence, "abstained": answer.abstained}


def _usage(answer: Answer) -> dict[str, int] | None:
    prompt, completion = answer.usage.prompt_tokens, answer.usage.completion_tokens
    if prompt is None or completion is None:
        return None
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _stream(answer: Answer, wanted: Completion) -> Iterator[str]:
    spoken = _spoken(answer)
    text: str = spoken.pop("content")
    deltas = [{"role": "assistant", "content": ""}]
    deltas += [{"content": text[start : start + PIECE]} for start in range(0, len(text), PIECE)]
    ends = [None] * len(deltas) + ["stop"]
    for delta, end in zip([*deltas, spoken], ends, strict=True):
        choice = {"index": 0, "delta": delta, "finish_reason": end}
        yield _event(_envelope(answer, "chat.completion.chunk") | {"choices": [choice]})
    if wanted.stream_options.include_usage:
        yield _event(_envelope(answer, "chat.completion.chunk") | {"choices": [], "usage": _usage(answer)})
    yield "data: [DONE]\n\n"


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"
