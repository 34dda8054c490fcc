"""Applications and handlers served over real HTTP on this machine, and stopped at once."""

import asyncio
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import uvicorn


class Prompt(uvicorn.Server):
    """Stop when told to; uvicorn looks ten times a second whether it was, and then rests for a tenth before it goes."""

    async def main_loop(self) -> None:
        while not await self.on_tick(0):
            await asyncio.sleep(0.01)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listener in self.servers:
            listener.close()
        for connection in [*self.server_state.connections]:
            connection.shutdown()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                while self.server_state.connections or self.server_state.tasks:
                    await asyncio.sleep(0.01)
        for task in self.server_state.tasks:
            task.cancel()
        await self.lifespan.shutdown()

    @property
    def url(self) -> str:
        scheme = "https" if self.config.is_ssl else "http"
        return f"{scheme}://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}"


@contextmanager
def served(application: Any, port: int = 0, log_level: str = "error") -> Generator[str]:
    """Serve in a thread until the block ends; yield the URL."""
    runner = Prompt(uvicorn.Config(application, port=port, log_level=log_level, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=runner.run, daemon=True)
    thread.start()
    while not runner.started:
        time.sleep(0.01)
    yield runner.url
    runner.should_exit = True
    thread.join(5)


@contextmanager
def handled(handler: type[BaseHTTPRequestHandler]) -> Generator[Any]:
    """Serve each request by a handler of its own, in threads, until the block ends; yield the server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()
