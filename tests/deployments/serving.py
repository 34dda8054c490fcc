"""Serve an application over real HTTP on a free port."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Literal

import uvicorn

from tests.serving import Prompt

Sockets = Literal["none", "websockets-sansio"]


@asynccontextmanager
async def serving(app: Any, port: int = 0, ws: Sockets = "none") -> AsyncGenerator[str]:
    """Serve in this event loop until the block ends; yield the URL."""
    server = Prompt(uvicorn.Config(app, port=port, log_level="warning", ws=ws))
    at_work = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield server.url
    server.should_exit = True
    await at_work
