"""The driver's connection, which sends statements that nobody waits for along with the next one that somebody does."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, LiteralString, NamedTuple, Self, cast

import psycopg
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg.rows import namedtuple_row

Values = Mapping[str, Any]
Cursor = psycopg.AsyncCursor[Any]


class Held(NamedTuple):
    cursor: Cursor
    statement: str
    values: Values | None


class Driver(psycopg.AsyncConnection[Any]):
    """Hold statements until the next one or the commit: one round trip for all of them (libpq's pipeline mode)."""

    _held: tuple[Held, ...] = ()
    _beginning: tuple[Held, ...] = ()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.cursor_factory, self.server_cursor_factory = Sending, SendingFirst
        self._beginner = self.cursor()

    def begin(self, *settings: tuple[str, Values]) -> None:
        """Let what comes first begin a transaction with these settings."""
        statements: list[tuple[str, Values | None]] = [("begin", None), *settings]
        self._held = self._beginning = tuple(Held(self._beginner, *each) for each in statements)

    def hold(self, statement: str, values: Values | None = None) -> Cursor:
        """Return the cursor that has the rows once another statement was run or the transaction has ended."""
        cursor = self.cursor(row_factory=namedtuple_row)
        self._held = (*self._held, Held(cursor, statement, values))
        return cursor

    async def send(self) -> None:
        """Run what is held."""
        if self._held:
            async with self.sending():
                pass

    @asynccontextmanager
    async def sending(self) -> AsyncGenerator[None]:
        """Send what is held ahead of what the block runs; the first error of them all is raised."""
        held, self._held = self._held, ()
        async with self.pipeline():
            for each in held:
                await each.cursor.execute(cast("LiteralString", each.statement), each.values)
            yield

    @asynccontextmanager
    async def copying(self, query: LiteralString) -> AsyncGenerator[psycopg.AsyncCopy]:
        """Run what is held, and give out the rows of a COPY one by one: neither end keeps them."""
        await self.send()
        async with self.cursor().copy(query) as copy:
            yield copy

    @property
    def holds(self) -> bool:
        return bool(self._held)

    def is_at_rest(self) -> bool:
        """Tell whether nothing is under way, so that the connection may serve somebody else."""
        if self.closed or self._held:
            return False
        state = self.pgconn
        return state.transaction_status == TransactionStatus.IDLE and state.pipeline_status == PipelineStatus.OFF

    async def commit(self) -> None:
        if self._held is self._beginning:  # nothing was done
            self._held = ()
        if not self._held:
            return await super().commit()
        async with self.sending():
            await super().commit()

    async def rollback(self) -> None:
        self._held = ()
        await super().rollback()


class Sending(psycopg.AsyncCursor[Any]):
    """Run a statement, and ahead of it what its connection holds."""

    async def execute(self, query: Any, params: Any = None, **options: Any) -> Self:
        connection = cast(Driver, self.connection)
        if not connection.holds:
            return await super().execute(query, params, **options)
        async with connection.sending():
            await super().execute(query, params, **options)
        return self

    async def executemany(self, query: Any, params_seq: Any, **options: Any) -> None:
        await cast(Driver, self.connection).send()
        await super().executemany(query, params_seq, **options)


class SendingFirst(psycopg.AsyncServerCursor[Any]):
    """Run what its connection holds, and then a statement whose rows stay with the server."""

    async def execute(self, query: Any, params: Any = None, **options: Any) -> Self:
        await cast(Driver, self.connection).send()
        return await super().execute(query, params, **options)
