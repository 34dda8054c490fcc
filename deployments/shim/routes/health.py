"""Whether this process lives, is ready, and what it stands on."""

import asyncio
import time
from importlib.metadata import version
from typing import Any, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel
from sqlalchemy import text

from blocks.connections import database, embedder, language_model
from deployments.shim.identity import anyone
from deployments.shim.prefect_api import PrefectApi
from tasks.spaces import current_embedder

router = APIRouter(tags=["health"], dependencies=[Depends(anyone)])
PATIENCE_SECONDS = 5.0

State = Literal["ok", "degraded", "down"]


class Component(BaseModel):
    state: State
    detail: str


class Health(BaseModel):
    """Show each component; chat needs the database and the embedder, and does without Prefect."""

    status: State
    version: str
    uptime_seconds: float
    components: dict[str, Component]


@router.get("/live")
async def live() -> dict[str, str]:
    """Answer whenever the process can."""
    return {"status": "ok"}


@router.get("/ready", responses={503: {"model": Health}})
async def ready(request: Request, response: Response) -> Health:
    """Answer 200 only when a question can be answered."""
    found = await health(request)
    if found.status == "down":
        response.status_code = 503
    return found


@router.get("/health")
async def health(request: Request) -> Health:
    """Look at every component, each with a short patience."""
    checks = {"database": _database(), "embedder": _embedder(), "prefect": _prefect(request), "model": _model()}
    states = dict(zip(checks, await asyncio.gather(*map(_looked_at, checks.values())), strict=True))
    down = any(states[name].state == "down" for name in ("database", "embedder"))
    worst: State = "down" if down else "ok" if states["prefect"].state == "ok" else "degraded"
    uptime = time.monotonic() - request.app.state.started
    return Health(status=worst, version=version("kowai"), uptime_seconds=round(uptime, 1), components=states)


async def _looked_at(check: Any) -> Component:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return Component(state="ok", detail=await check)
    except Exception as error:
        return Component(state="down", detail=type(error).__name__)


async def _database() -> str:
    async with (await database()).engine().connect() as connection:
        return f"PostgreSQL {await connection.scalar(text('show server_version'))}"


async def _embedder() -> str:
    model = await embedder(await current_embedder())
    await model.embed(["ready"], purpose="query")
    return f"{model.space.model}, {model.space.dimensions} dimensions"


async def _prefect(request: Request) -> str:
    prefect: PrefectApi = request.app.state.prefect
    if not await prefect.healthy():
        raise ConnectionError
    return "reachable"


async def _model() -> str:
    targets = (await language_model()).targets
    return ", ".join(target.name for target in targets) or "extractive"
