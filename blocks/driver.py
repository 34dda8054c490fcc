"""The driver's connection, which sends statements that nobody waits for along with the next one that somebody does."""

import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, LiteralString, NamedTuple, Self, cast

import psycopg
from psycopg.abc import PQGen
from psycopg.generators import send
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg.rows import namedtuple_row

Values = Mapping[str, Any]
Cursor = psycopg.AsyncCursor[Any]


class Held(NamedTuple):
    cursor: "Sending"
    statement: Any
    values: Any = None
    options: Mapping[str, Any] = {}


class Batch(psycopg.AsyncPipeline):
    """Send statements by one write, and what ends them with it: all of them or, if one cannot be told, none.

    The driver's own pipeline (libpq's pipeline mode) writes each by itself.
    """

    def run(self, statements: Sequence[Held]) -> PQGen[None]:
        """Return when all have their results; the first error of them all is raised."""
        yield from self._enter_gen()
        try:
            for each in statements:
                yield from each.cursor.told(each)
            self._enqueue_sync()
            while self.command_queue:
                self.command_queue.popleft()()
            yield from send(self.pgconn)
            yield from self._fetch_gen(flush=False)
        finally:
            self._exit(sys.exception())

    def _communicate_gen(self) -> PQGen[None]:
        """Send nothing yet."""
        yield from ()


class Driver(psycopg.AsyncConnection[Any]):
    """Hold statements until the next one or the commit: one round trip for all of them.

    What needs no more than one is a transaction for PostgreSQL without being told so.
    """

    _held: tuple[Held, ...] = ()
    _is_to_begin = False

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.cursor_factory, self.server_cursor_factory = Sending, SendingFirst
        self._speaker = cast(Sending, self.cursor())
        self._settings: tuple[Held, ...] = ()

    def begin(self, *settings: tuple[str, Values]) -> None:
        """Let what comes first begin a transaction with these settings."""
        self._held = self._settings = tuple(Held(self._speaker, *each) for each in settings)
        self._is_to_begin = True

    def hold(self, statement: str, values: Values | None = None) -> Cursor:
        """Return the cursor that has the rows once another statement was run or the transaction has ended."""
        cursor = cast(Sending, self.cursor(row_factory=namedtuple_row))
        self._held = (*self._held, Held(cursor, statement, values))
        return cursor

    async def send(self, *last: Held) -> None:
        """Run what is held, and `last` behind it."""
        first = (Held(self._speaker, "begin"),) if self._is_to_begin else ()
        held, self._held, self._is_to_begin = self._held, (), False
        if statements := (*first, *held, *last):
            await self._run(statements)

    async def _run(self, statements: Sequence[Held]) -> None:
        async with self.lock:
            await self.wait(self._running(statements))

    def _running(self, statements: Sequence[Held]) -> PQGen[None]:
        batch = self._pipeline = Batch(self)
        try:
            yield from batch.run(statements)
        except BaseException:
            self._prepared.clear()  # what was to be prepared may not have been
            raise
        finally:
            self._pipeline = None

    @asynccontextmanager
    async def copying(self, query: LiteralString) -> AsyncGenerator[psycopg.AsyncCopy]:
        """Run what is held, and give out the rows of a COPY one by one: neither end keeps them."""
        await self.send()
        async with self.cursor().copy(query) as copy:
            yield copy

    @property
    def holds(self) -> bool:
        return bool(self._held) or self._is_to_begin

    def is_at_rest(self) -> bool:
        """Tell whether nothing is under way, so that the connection may serve somebody else."""
        if self.closed or self.holds:
            return False
        state = self.pgconn
        return state.transaction_status == TransactionStatus.IDLE and state.pipeline_status == PipelineStatus.OFF

    async def commit(self) -> None:
        if self._is_to_begin:
            held, self._held, self._is_to_begin = self._held, (), False
            if held is not self._settings:  # something is to be done
                await self._run(held)
        elif self._held:
            await self.send(Held(self._speaker, "commit"))
        else:
            await super().commit()

    async def rollback(self) -> None:
        self._held, self._is_to_begin = (), False
        await super().rollback()
        async with self.lock:
            await self.wait(self._prepared.maintain_gen(self))  # without a transaction that is left to whoever is next


class Sending(psycopg.AsyncCursor[Any]):
    """Run a statement, and ahead of it what its connection holds."""

    def told(self, held: Held) -> PQGen[None]:
        return self._execute_gen(cast("LiteralString", held.statement), held.values, **held.options)

    async def execute(self, query: Any, params: Any = None, **options: Any) -> Self:
        connection = cast(Driver, self.connection)
        if not connection.holds:
            return await super().execute(query, params, **options)
        await connection.send(Held(self, query, params, options))
        return self

    async def executemany(self, query: Any, params_seq: Any, **options: Any) -> None:
        await cast(Driver, self.connection).send()
        await super().executemany(query, params_seq, **options)


class SendingFirst(psycopg.AsyncServerCursor[Any]):
    """Run what its connection holds, and then a statement whose rows stay with the server."""

    async def execute(self, query: Any, params: Any = None, **options: Any) -> Self:
        await cast(Driver, self.connection).send()
        return await super().execute(query, params, **options)
