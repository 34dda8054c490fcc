"""What the shim stands on, each part looked at with a short patience."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import psutil
from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import text

from blocks.connections import database, embedder, language_model
from blocks.engines import circuit_of
from blocks.price_table import embedding_price
from blocks.shared_cache import CacheAway, shared_cache
from deployments.shim.prefect_api import PrefectApi
from kowai.settings import settings
from tasks.spaces import current_embedder

PATIENCE_SECONDS = 5.0
FRESH_SECONDS = 1.0  # anybody may ask, as often as they like
LEAST_FREE_BYTES = 500_000_000

State = Literal["ok", "degraded", "down"]


class Component(BaseModel):
    """Say how one part is; the detail is for operators."""

    state: State
    detail: str | None = None


class Degraded(Exception):
    """Say what is not as it should be with a part that works."""


class Resources(BaseModel):
    """Show the shim's computer: shares are of 1, memory and disk in bytes."""

    cpu: float
    memory: float
    disk: float
    disk_free_bytes: int
    process_bytes: int


class Components:
    """Look at every component, at most once a second however many ask."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._looking = asyncio.Lock()
        self._seen: dict[str, Component] = {}
        self._seen_at = -FRESH_SECONDS

    async def look(self) -> dict[str, Component]:
        async with self._looking:
            if time.monotonic() - self._seen_at >= FRESH_SECONDS:
                checks = {"database": _database, "embedder": _embedder, "model": _model, "storage": _storage}
                if settings().redis_url is not None:
                    checks["cache"] = _cache
                states = await asyncio.gather(*map(_looked_at, [*checks.values(), self._prefect]))
                self._seen = dict(zip([*checks, "prefect"], states, strict=True))
                self._seen_at = time.monotonic()
            return self._seen

    async def _prefect(self) -> str:
        prefect: PrefectApi = self._app.state.prefect
        if not await prefect.healthy():
            raise ConnectionError
        return "reachable"


async def _looked_at(check: Callable[[], Awaitable[str]]) -> Component:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return Component(state="ok", detail=await check())
    except Degraded as flaw:
        return Component(state="degraded", detail=str(flaw))
    except Exception as error:
        return Component(state="down", detail=type(error).__name__)


async def _database() -> str:
    async with (await database()).connection() as connection:
        return f"PostgreSQL {await connection.scalar(text('show server_version'))}"


async def _embedder() -> str:
    model = await embedder(await current_embedder())
    if embedding_price(model) == 0:  # what is paid for is not called for this
        await model.embed(["ready"], purpose="query")
    return f"{model.space.model}, {model.space.dimensions} dimensions"


async def _model() -> str:
    """Tell which models may be asked, and which of them rest after failures; none is called for this."""
    targets, now = (await language_model()).targets, time.monotonic()
    resting = [target.name for target in targets if circuit_of(target).rests(now)]
    if resting:
        raise Degraded(f"resting after failures: {', '.join(resting)}")
    return ", ".join(target.name for target in targets) or "extractive"


async def _cache() -> str:
    cache = shared_cache()
    assert cache is not None
    try:
        return f"Redis {await cache.version()}"
    except CacheAway as error:
        raise Degraded("Redis cannot be reached: requests are counted in PostgreSQL") from error


async def _storage() -> str:
    free = resources().disk_free_bytes
    told = f"{free / 1e9:.1f} GB free"
    if free < LEAST_FREE_BYTES:
        raise Degraded(told)
    return told


def resources() -> Resources:
    """Return how much of this computer is in use; the processor's share since this was asked last."""
    state = settings().state.expanduser().absolute()
    disk = psutil.disk_usage(str(next(folder for folder in (state, *state.parents) if folder.exists())))
    shares: dict[str, Any] = {
        "cpu": psutil.cpu_percent() / 100,
        "memory": psutil.virtual_memory().percent / 100,
        "disk": disk.percent / 100,
    }
    return Resources(disk_free_bytes=disk.free, process_bytes=psutil.Process().memory_info().rss, **shares)
