"""The shim: HTTP in front of the same flows, thin."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version

from fastapi import APIRouter, FastAPI

from blocks.connections import database, embedder
from deployments.first_key import ensure_first_key
from deployments.shim.errors import add_error_handlers
from deployments.shim.gate import Gate
from deployments.shim.prefect_api import PrefectApi
from deployments.shim.recorder import Recorder
from deployments.shim.runs import Runs
from deployments.shim.streams import Streams
from kowai.registry import discover
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
    for router in discover("deployments.shim.routes", APIRouter).values():
        app.include_router(router)
    add_error_handlers(app)
    app.add_middleware(Gate)
    return app


app = create_app()
