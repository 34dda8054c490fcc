"""The shim: HTTP in front of the same flows, thin."""

import asyncio
import gc
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import cache
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from blocks.connections import database, embedder, find_standing
from blocks.shared_cache import shared_cache
from deployments.clearing import keep_clearing
from deployments.first_key import ensure_first_key
from deployments.local.given_secrets import check_given_secrets
from deployments.shim.components import Components
from deployments.shim.errors import add_error_handlers
from deployments.shim.gate import Gate
from deployments.shim.mirroring import keep_mirroring
from deployments.shim.prefect_api import PrefectApi
from deployments.shim.recorder import Recorder
from deployments.shim.resuming import resume_ingestions
from deployments.shim.runs import Runs
from deployments.shim.streams import Streams
from kowai.registry import discover
from kowai.settings import settings
from tasks.spaces import current_embedder

DESCRIPTION = "Ask your documents; every answer is cited, every run is in Prefect. Send `Authorization: Bearer <key>`."

ASKED_MOST = ("queries", "chat", "openai_door")
# Scripts of other sites send a key of their own accord, so no browser has to add cookies for them.
CROSS_ORIGIN: dict[str, Any] = {
    "allow_methods": ["GET", "POST", "PUT", "PATCH", "DELETE"],
    "allow_headers": [
        "Authorization",
        "Content-Type",
        "Idempotency-Key",
        "Last-Event-ID",
        "X-Kowai-Tenant",
        "X-Request-ID",
    ],
    "expose_headers": [
        "Idempotency-Replayed",
        "RateLimit",
        "RateLimit-Policy",
        "Retry-After",
        "Server-Timing",
        "X-Query-Id",
        "X-Request-ID",
    ],
    "max_age": 600,
}


async def _warm_up() -> None:
    """Load the embedding model, if it runs here."""
    model = await embedder(await current_embedder())
    if model.provider != "openai":
        await model.embed(["warm"], purpose="query")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """Open what requests share; close it in the opposite order."""
    check_given_secrets(settings())
    prefect = PrefectApi()
    recorder = Recorder(prefect)
    app.state.prefect, app.state.runs, app.state.started = prefect, Runs(prefect, recorder), time.monotonic()
    app.state.components = Components(app)
    app.state.streams = streams = Streams(app.state.runs)
    await ensure_first_key()
    await _warm_up()
    serving = [asyncio.create_task(recorder.serve()), asyncio.create_task(streams.serve())]
    serving += [asyncio.create_task(work()) for work in (keep_mirroring, find_standing, keep_clearing)]
    serving.append(asyncio.create_task(resume_ingestions(app.state.runs)))
    yield
    await streams.close()
    for task in serving:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    await prefect.close()
    if (cache := shared_cache()) is not None:
        await cache.close()
    await (await database()).close()


class Shim(FastAPI):
    """Stand inside the gate, which so sees every reply, also those of errors that nobody expected."""

    def build_middleware_stack(self) -> ASGIApp:
        return Gate(super().build_middleware_stack())


@cache
def _doors() -> APIRouter:
    """Include every router once a process: FastAPI works out what a route takes anew wherever it is included."""
    doors, found = APIRouter(), discover("deployments.shim.routes", APIRouter)
    for name in dict.fromkeys((*ASKED_MOST, *found)):  # a request looks from the first to the last
        doors.include_router(found[name])
    return doors


def create_app() -> FastAPI:
    """Return the application with every router and one shape of error."""
    app = Shim(title="KowAI", version=version("kowai"), description=DESCRIPTION, lifespan=lifespan, openapi_url=None)
    app.router.routes.extend(_doors().routes)
    add_error_handlers(app)
    if origins := settings().origins:
        app.add_middleware(CORSMiddleware, allow_origins=sorted(origins), **CROSS_ORIGIN)
    return app


app = create_app()
gc.freeze()  # what is imported stays: looking through it for garbage would hold everybody up for a fifth of a second
gc.set_threshold(3_000, 10, 10)  # looking each 700 new objects, as Python does, takes half a millisecond an answer
