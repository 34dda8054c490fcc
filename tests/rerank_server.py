"""A real rerank endpoint on a free loopback port, which prefers longer documents and fails as it is told."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from blocks.reranker import Reranker
from tests.serving import served


@dataclass
class RerankServer:
    """Hold how the server treats requests, and what it was asked."""

    url: str
    status: int = 200
    delay: float = 0.0
    raw: bytes | None = None
    told: dict[str, Any] = field(default_factory=lambda: {"usage": {"total_tokens": 1_000}})
    asked: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def reranker(self, name: str = "judge", **settings: Any) -> Reranker:
        usual: dict[str, Any] = {"model": f"{name}-model", "price": 0, "timeout_seconds": 5.0}
        return Reranker(name=name, endpoint=f"{self.url}/v1", **(usual | settings))


def application(server: RerankServer) -> FastAPI:
    app = FastAPI()

    @app.post("/v1/rerank")
    async def rerank(request: Request) -> Response:
        asked = await request.json()
        server.asked.append(asked)
        await asyncio.sleep(server.delay)
        if server.raw is not None or server.status != 200:
            return Response(server.raw or b"told to", server.status, media_type="application/json")
        documents = asked["documents"]
        longest = sorted(range(len(documents)), key=lambda place: -len(documents[place]))
        results = [
            {"index": place, "relevance_score": len(documents[place]) / 1_000, "document": {"text": documents[place]}}
            for place in longest[: asked["top_n"]]
        ]
        return JSONResponse({"results": results} | server.told)

    return app


@contextmanager
def serving_reranker() -> Generator[RerankServer]:
    server = RerankServer("")
    with served(application(server)) as server.url:
        yield server
