"""Serve an application over real HTTP on a free port."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from tests.serving import Prompt


@asynccontextmanager
async def serving(app: Any, port: int = 0, **how: Any) -> AsyncGenerator[str]:
    """Serve in this event loop until the block ends, as uvicorn is told to; yield the URL."""
    server = Prompt(uvicorn.Config(app, port=port, log_level="warning", **{"ws": "none"} | how))
    at_work = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield server.url
    server.should_exit = True
    await at_work
