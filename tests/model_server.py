"""A real OpenAI-compatible server on a free loopback port, which counts what it is asked and fails as it is told."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from zlib import crc32

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from blocks.embedder import Embedder
from blocks.language_model import Target
from tests.serving import served

ANSWER = "[[ ## answer ## ]]\nParis, of course\n\n[[ ## completed ## ]]"
DIMENSIONS = 64
VLLM = "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens in the messages."
LLAMA_CPP = "the request exceeds the available context size, try increasing it"


@dataclass
class Act:
    """Say how to treat one request."""

    status: int = 200
    message: str = "told to"
    code: str | None = None
    retry_after: str | None = None
    content: str = ANSWER
    delay: float = 0.0
    raw: bytes | None = None
    usage: dict[str, int] | None = field(default_factory=lambda: {"prompt_tokens": 100, "completion_tokens": 10})
    drip: float = 0.0
    cut_after: int | None = None
    cut: bool = False  # break the connection in the middle of the reply


@dataclass
class ModelServer:
    """Hold what the server will do next (`script`, then `default`), where a stream waits, and what it was asked."""

    url: str
    default: Act = field(default_factory=Act)
    script: list[Act] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    embedded: list[list[str]] = field(default_factory=list)
    sent_pieces: int = 0
    waits_at: int | None = None
    on_reply: Callable[[], None] | None = None
    on_request: Callable[[], None] | None = None

    def target(self, name: str = "local", *, price: str | None = "0", **settings: Any) -> Target:
        prices = {"input_price": price and Decimal(price), "output_price": price and Decimal(price)}
        return Target(name=name, model=f"{name}-model", endpoint=f"{self.url}/v1", **(prices | settings))

    def embedder(self, *, price: str | None = "0", **settings: Any) -> Embedder:
        """Return a block of vectors that point where a text's words do."""
        priced = {"price": price and Decimal(price), "endpoint": f"{self.url}/v1", "model": "words"}
        return Embedder(provider="openai", dimensions=DIMENSIONS, **(priced | settings))

    def act(self) -> Act:
        """Return what to do with the request that has just come."""
        if self.on_request:
            self.on_request()
        return self.script.pop(0) if self.script else self.default


def application(server: ModelServer) -> FastAPI:
    app = FastAPI()

    @app.post("/v1/chat/completions")
    async def complete(request: Request) -> Response:
        asked = await request.json()
        server.asked.append(asked)
        server.headers.append(dict(request.headers))
        act = server.act()
        if (otherwise := await misbehaved(act)) is not None:
            return otherwise
        if asked.get("stream"):
            return StreamingResponse(pieces(server, act, asked["model"]), media_type="text/event-stream")
        choice = {"index": 0, "message": {"role": "assistant", "content": act.content}, "finish_reason": "stop"}
        body = {"id": "c", "object": "chat.completion", "model": asked["model"], "choices": [choice]}
        return JSONResponse(body | ({"usage": act.usage} if act.usage else {}))

    @app.post("/v1/embeddings")
    async def embed(request: Request) -> Response:
        texts = (await request.json())["input"]
        server.embedded.append(texts)
        act = server.act()
        if (otherwise := await misbehaved(act)) is not None:
            return otherwise
        data = [{"index": n, "embedding": pointing(text)} for n, text in enumerate(texts)]
        return JSONResponse({"data": data} | ({"usage": act.usage} if act.usage else {}))

    return app


async def misbehaved(act: Act) -> Response | None:
    """Return, in its time, what is no proper reply; None where the act is to give one."""
    await asyncio.sleep(act.delay)
    if act.cut:
        return StreamingResponse(half(), headers={"Content-Length": "1000"}, media_type="application/json")
    if act.raw is not None:
        return Response(act.raw, media_type="application/json")
    if act.status != 200:
        headers = {"Retry-After": act.retry_after} if act.retry_after else {}
        return JSONResponse({"error": {"message": act.message, "code": act.code}}, act.status, headers=headers)
    return None


async def half() -> AsyncIterator[str]:
    yield '{"half": '


def pointing(text: str) -> list[float]:
    """Return a vector with a share for each word."""
    vector = [0.1] * DIMENSIONS
    for word in text.lower().split():
        vector[crc32(word.encode()) % DIMENSIONS] += 1.0
    return vector


async def pieces(server: ModelServer, act: Act, model: str) -> AsyncIterator[str]:
    def event(**fields: Any) -> str:
        return f"data: {json.dumps({'id': 'c', 'object': 'chat.completion.chunk', 'model': model} | fields)}\n\n"

    def choice(delta: dict[str, str], reason: str | None = None) -> list[dict[str, Any]]:
        return [{"index": 0, "delta": delta, "finish_reason": reason}]

    yield event(choices=choice({"role": "assistant"}))
    for number, word in enumerate(act.content.split(" ")):
        if number == act.cut_after:
            return
        await asyncio.sleep(act.drip)
        while server.waits_at is not None and number >= server.waits_at:
            await asyncio.sleep(0.01)
        server.sent_pieces += 1
        yield event(choices=choice({"content": word if number == 0 else f" {word}"}))
    yield event(choices=choice({}, "stop"))
    if act.usage:
        yield event(choices=[], usage=act.usage)
    yield "data: [DONE]\n\n"


@contextmanager
def serving() -> Iterator[ModelServer]:
    """Serve in a thread of this process until the block ends."""
    server = ModelServer("")
    with served(application(server)) as server.url:
        yield server


async def silence(server: ModelServer) -> int:
    """Wait until the server has sent nothing for half a second; return how many pieces it ever sent."""
    while True:
        sent = server.sent_pieces
        await asyncio.sleep(0.5)
        if server.sent_pieces == sent:
            return sent
