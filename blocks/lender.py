"""Connections that stay open between transactions, so that SQLAlchemy's books of each are opened once."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple, cast

import psycopg
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from blocks.driver import Driver, Values

DRIVER = "kowai driver"


def driver_of(connection: AsyncConnection) -> Driver:
    """Return the psycopg connection below a lent one, in the same transaction."""
    return connection.info[DRIVER]


UNUSED_SECONDS = 60.0  # after which a connection is closed, for which PostgreSQL holds 6 to 18 MB
READY = 2  # connections that stay open, for whoever comes next


class Lent(NamedTuple):
    connection: AsyncConnection
    driver: Driver
    opened: int  # how often the lender had been closed


class Lender:
    """Lend an engine's connections, which commit by themselves, to one transaction after the other.

    Taking one from the engine's pool, beginning, committing and giving it back costs SQLAlchemy more than a statement.
    """

    def __init__(self, engine: AsyncEngine, kept: int) -> None:
        self.engine, self._kept = engine, kept
        self._resting = list[Lent]()
        self._places = asyncio.Semaphore(2 * kept)
        self._closing = set[asyncio.Task[None]]()
        self._closed = 0
        self._spare = 0  # that nobody has needed since they are watched
        self._watch: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def lend(self, *settings: tuple[str, Values], begin: bool = True) -> AsyncGenerator[AsyncConnection]:
        """Lend a connection, in a transaction of its own with these settings unless each statement stands alone."""
        async with self._places:
            lent = self._resting.pop() if self._resting else await self._open()
            self._spare = min(self._spare, len(self._resting))
            try:
                if begin:
                    lent.driver.begin(*settings)
                yield lent.connection
                await lent.driver.commit()
            except BaseException:
                await self._undo(lent)
                raise
            await self._take_back(lent)

    async def _open(self) -> Lent:
        connection = await self.engine.connect()
        driver = cast(Driver, (await connection.get_raw_connection()).driver_connection)
        connection.info[DRIVER] = driver
        return Lent(connection, driver, self._closed)

    async def _undo(self, lent: Lent) -> None:
        """Roll back even if the borrower is cancelled meanwhile."""

        async def undo() -> None:
            with suppress(psycopg.Error, SQLAlchemyError):
                await lent.driver.rollback()
                await lent.connection.rollback()
            await self._take_back(lent)

        task = asyncio.create_task(undo())
        self._keep(task)
        await asyncio.shield(task)

    async def _take_back(self, lent: Lent) -> None:
        usable = lent.opened == self._closed and lent.driver.is_at_rest()
        if usable and not lent.connection.invalidated and len(self._resting) < self._kept:
            self._resting.append(lent)
            self._watch_resting()
            return
        with suppress(psycopg.Error, SQLAlchemyError):
            if not usable:
                await lent.connection.invalidate()
            await lent.connection.close()

    def _watch_resting(self) -> None:
        if self._watch is None and len(self._resting) > READY:
            self._spare = len(self._resting)
            self._watch = asyncio.get_running_loop().call_later(UNUSED_SECONDS, self._sweep)

    def _sweep(self) -> None:
        """Close what nobody has needed while it was watched: what was lent last is lent first."""
        self._watch, spare = None, max(0, self._spare - READY)
        unused, self._resting = self._resting[:spare], self._resting[spare:]
        self._keep(asyncio.create_task(_end(unused)))
        self._watch_resting()

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close what nobody has borrowed, and what somebody has as soon as it comes back."""
        self._closed += 1
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        resting, self._resting = self._resting, []
        for lent in resting:
            with suppress(psycopg.Error, SQLAlchemyError):
                await lent.connection.close()
        await self.engine.dispose()


async def _end(unused: Sequence[Lent]) -> None:
    """Close connections for good: the engine's pool would keep them open."""
    for lent in unused:
        with suppress(psycopg.Error, SQLAlchemyError):
            await lent.connection.invalidate()
            await lent.connection.close()
