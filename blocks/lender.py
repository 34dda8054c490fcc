"""Connections that stay open between transactions, so that SQLAlchemy's books of each are opened once."""

import asyncio
from collections.abc import AsyncGenerator
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


class Lent(NamedTuple):
    connection: AsyncConnection
    driver: Driver


class Lender:
    """Lend an engine's connections, which commit by themselves, to one transaction after the other.

    Taking one from the engine's pool, beginning, committing and giving it back costs SQLAlchemy more than a statement.
    """

    def __init__(self, engine: AsyncEngine, kept: int) -> None:
        self.engine, self._kept = engine, kept
        self._resting = list[Lent]()
        self._places = asyncio.Semaphore(2 * kept)
        self._closing = set[asyncio.Task[None]]()

    @asynccontextmanager
    async def lend(self, *settings: tuple[str, Values], begin: bool = True) -> AsyncGenerator[AsyncConnection]:
        """Lend a connection, in a transaction of its own with these settings unless each statement stands alone."""
        async with self._places:
            lent = self._resting.pop() if self._resting else await self._open()
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
        return Lent(connection, driver)

    async def _undo(self, lent: Lent) -> None:
        """Roll back even if the borrower is cancelled meanwhile."""

        async def undo() -> None:
            with suppress(psycopg.Error, SQLAlchemyError):
                await lent.driver.rollback()
                await lent.connection.rollback()
            await self._take_back(lent)

        task = asyncio.create_task(undo())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        await asyncio.shield(task)

    async def _take_back(self, lent: Lent) -> None:
        if lent.driver.is_at_rest() and not lent.connection.invalidated and len(self._resting) < self._kept:
            self._resting.append(lent)
            return
        with suppress(psycopg.Error, SQLAlchemyError):
            if not lent.driver.is_at_rest():
                await lent.connection.invalidate()
            await lent.connection.close()

    async def close(self) -> None:
        """Close what nobody has borrowed."""
        resting, self._resting = self._resting, []
        for lent in resting:
            with suppress(psycopg.Error, SQLAlchemyError):
                await lent.connection.close()
        await self.engine.dispose()
