"""The shim: HTTP in front of the same flows, thin."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version

from fastapi import FastAPI

from blocks.connections import database, embedder
from deployments.first_key import ensure_first_key
from deployments.shim import (
    audit,
    auth,
    batches,
    chat,
    conversations,
    costs,
    dead_letters,
    documents,
    embeddings,
    evaluations,
    feedback,
    guards,
    health,
    holdings,
    keys,
    openai_door,
    quarantine,
    queries,
    question_sets,
    replays,
    searches,
    site,
    sources,
    suites,
    tenants,
    users,
    versions,
)
from deployments.shim.errors import add_error_handlers
from deployments.shim.gate import Gate
from deployments.shim.graph import router as graph
from deployments.shim.prefect_api import PrefectApi
from deployments.shim.recorder import Recorder
from deployments.shim.runs import Runs
from deployments.shim.spaces import router as spaces
from deployments.shim.streams import Streams
from tasks.spaces import current_embedder

DESCRIPTION = "Ask your documents; every answer is cited, every run is in Prefect. Send `Authorization: Bearer <key>`."


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """Open what requests share; close it in the opposite order."""
    prefect = PrefectApi()
    recorder = Recorder(prefect)
    app.state.prefect, app.state.runs, app.state.started = prefect, Runs(prefect, recorder), time.monotonic()
    app.state.streams = streams = Streams(app.state.runs)
    await ensure_first_key()
    await (await embedder(await current_embedder())).embed(["warm"], purpose="query")
    serving = [asyncio.create_task(recorder.serve()), asyncio.create_task(streams.serve())]
    yield
    await streams.close()
    for task in serving:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    await prefect.close()
    await (await database()).close()


def create_app() -> FastAPI:
    """Return the application with every router and one shape of error."""
    app = FastAPI(title="KowAI", version=version("kowai"), description=DESCRIPTION, lifespan=lifespan)
    conversing = (queries, conversations, feedback, replays, chat)
    answering = (*conversing, searches, question_sets, batches, openai_door, embeddings)
    entering = (auth, users, keys, audit, tenants)
    evaluating = (suites, evaluations, versions)
    keeping = (documents, holdings, sources, dead_letters, quarantine)
    for module in (*answering, *evaluating, *keeping, guards, costs, *entering, health, site):
        app.include_router(module.router)
    for router in (spaces, graph):
        app.include_router(router)
    add_error_handlers(app)
    app.add_middleware(Gate)
    return app


app = create_app()
