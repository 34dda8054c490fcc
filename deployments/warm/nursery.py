"""Where forks come from: one fork server at work, worn ones going, the next one coming."""

import asyncio
import logging
import time

from prefect.logging import get_logger

from deployments.warm.branches import Branch
from deployments.warm.forks import CannotFork, Fork, ForkServer
from deployments.warm.protocol import Job

FLOWS = ("flows",)
MOST_FORKS = 500
MOST_MEGABYTES = 1500
COLD_SECONDS = 60.0


class Nursery:
    """Hand out forks; replace the fork server when it is worn, or when the code that it imported has changed."""

    def __init__(
        self,
        modules: tuple[str, ...] = FLOWS,
        *,
        first: Branch | None = None,
        most_forks: int = MOST_FORKS,
        most_megabytes: int = MOST_MEGABYTES,
    ) -> None:
        self.modules = modules
        self.first = first
        self.most_forks = most_forks
        self.most_megabytes = most_megabytes
        self.server: ForkServer | None = None
        self._going: set[asyncio.Task[None]] = set()
        self._coming: asyncio.Task[ForkServer] | None = None
        self._lock = asyncio.Lock()
        self._cold_until = 0.0

    async def fork(self, job: Job) -> Fork:
        """Return a new process; raise CannotFork when there is none to be had."""
        try:
            return await (await self.fresh()).fork(job)
        except CannotFork:
            return await (await self.fresh()).fork(job)  # that server died; the next one is another

    async def warm(self) -> bool:
        """Return whether forks are to be had; warn when not, and do not try again for a while."""
        if time.monotonic() < self._cold_until:
            return False
        try:
            await self.fresh()
        except CannotFork as error:
            self._cold_until = time.monotonic() + COLD_SECONDS
            logger().warning("Runs start as plain subprocesses for %.0f seconds. %s", COLD_SECONDS, error)
            return False
        return True

    async def fresh(self) -> ForkServer:
        """Return the fork server: a worn one serves on while the next one comes, a dead or outdated one does not."""
        async with self._lock:
            if self.server is None or not self.server.alive or self.server.outdated():
                await self._replace()
            elif self.server.worn(self.most_forks, self.most_megabytes):
                if self._coming is None or (self._coming.done() and self._coming.exception() is not None):
                    self._coming = asyncio.create_task(self._start())
                if self._coming.done():
                    await self._replace()
            assert self.server is not None
            return self.server

    async def close(self) -> None:
        for task in self._going:
            task.cancel()
        if self._coming is not None:
            self._coming.cancel()
            await asyncio.gather(self._coming, return_exceptions=True)
        await asyncio.gather(*self._going, return_exceptions=True)
        if self.server is not None:
            await self.server.close()

    async def _start(self) -> ForkServer:
        first, self.first = self.first, None
        server = ForkServer(self.modules, first)
        try:
            await server.start()
        except OSError as error:
            raise CannotFork(f"The fork server does not start: {error}.") from error
        return server

    async def _replace(self) -> None:
        coming, self._coming = self._coming or asyncio.create_task(self._start()), None
        new, old, self.server = await coming, self.server, None
        self.server = new
        if old is not None:
            going = asyncio.create_task(old.retire())
            self._going.add(going)
            going.add_done_callback(self._going.discard)


def logger() -> logging.Logger | logging.LoggerAdapter[logging.Logger]:
    return get_logger("kowai.warm")
