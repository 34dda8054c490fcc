"""PostgreSQL with pgvector: the system of record, reached one tenant's transaction at a time."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import UUID
from weakref import WeakKeyDictionary

import psycopg
from prefect.blocks.core import Block
from psycopg.sql import SQL, Identifier
from pydantic import Field, HttpUrl, SecretStr
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from blocks.database_errors import hide, hide_values
from blocks.driver import Driver
from blocks.lender import Lender
from blocks.presence import Presence
from kowai.errors import DatabaseAway, TenantSuspended
from kowai.storable import StorageFull
from kowai.tenancy import SUSPENDED, entry

# A cached generic plan would pick one index for every tenant's size. What is found by its key asks for one.
SERVER_OPTIONS = "-c plan_cache_mode=force_custom_plan -c jit=off"

_lenders: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Lender]] = WeakKeyDictionary()
_presences: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Presence]] = WeakKeyDictionary()


class Database(Block):
    """Connect as the application role, which row-level security binds to one tenant per transaction."""

    _block_type_name = "KowAI Database"
    _block_type_slug = "kowai-database"
    _documentation_url = HttpUrl("https://docs.prefect.io/v3/concepts/blocks")
    _description = "PostgreSQL with pgvector, as the role that obeys row-level security."

    url: SecretStr = Field(title="URL", description="postgresql://kowai_app:...@host/database; never the owner's.")
    pool_size: int = Field(default=10, ge=1, le=100, title="Pool size", description="Connections a process keeps open.")

    def _lender(self) -> Lender:
        """Return this process's connections, of one event loop: a connection belongs to the loop that opened it."""
        lenders = _lenders.setdefault(asyncio.get_running_loop(), {})
        url = self.url.get_secret_value()
        if url not in lenders:
            engine = create_async_engine(
                make_url(url).set(drivername="postgresql+psycopg"),
                hide_parameters=True,  # an error's text ends in logs, which no tenant's text may
                pool_size=self.pool_size,
                max_overflow=self.pool_size,
                # The transaction's first statement brings its beginning along.
                connect_args={
                    "options": SERVER_OPTIONS,
                    "connect_timeout": 5,
                    "autocommit": True,
                    "async_creator_fn": Driver.connect,
                },
            )
            hide_values(engine)
            lenders[url] = Lender(engine, self.pool_size)
        return lenders[url]

    @asynccontextmanager
    async def transaction(
        self, tenant_id: UUID | None, *, durable: bool = True, even_suspended: bool = False, by_key: bool = False
    ) -> AsyncGenerator[AsyncConnection]:
        """Open one transaction that sees one tenant.

        Raises TenantMissing, TenantSuspended unless it is meant for such a tenant, and DatabaseAway without a database.
        `durable=False` is for what may be lost with the machine because it is said again or was never promised.
        `by_key` is for statements that every answer runs on few rows, found by their keys: planned once a connection.
        """
        begin = entry(tenant_id, durable=durable, even_suspended=even_suspended, by_key=by_key)
        async with self._telling(), self._lender().lend(begin) as connection:
            yield connection

    @asynccontextmanager
    async def platform_transaction(self) -> AsyncGenerator[AsyncConnection]:
        """Open one transaction for what belongs to no tenant. Raises DatabaseAway."""
        async with self._telling(), self._lender().lend() as connection:
            yield connection

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[AsyncConnection]:
        """Open a connection for what belongs to no tenant, each statement by itself. Raises DatabaseAway."""
        async with self._telling(), self._lender().lend(begin=False) as connection:
            yield connection

    @asynccontextmanager
    async def _telling(self) -> AsyncGenerator[None]:
        """Turn what the driver says into errors of ours."""
        try:
            yield
        except psycopg.Error as error:
            hide(error)
            if isinstance(error, psycopg.errors.DiskFull):
                raise _full(error) from error
            if isinstance(error, psycopg.OperationalError):
                await self._lender().close()  # what one connection has lost, those at rest have lost as well
                raise _away(error) from error
            if error.sqlstate == SUSPENDED:
                raise _suspended() from error
            raise
        except DBAPIError as error:
            if isinstance(error.orig, psycopg.errors.DiskFull):
                raise _full(error) from error
            if isinstance(error, OperationalError) or error.connection_invalidated:
                await self._lender().close()
                raise _away(error) from error
            if getattr(error.orig, "sqlstate", None) == SUSPENDED:
                raise _suspended() from error
            raise

    @asynccontextmanager
    async def listening(self, channel: str) -> AsyncGenerator[AsyncGenerator[str]]:
        """Give out the payloads notified on `channel`, on a connection of its own. Raises DatabaseAway."""
        try:
            async with await psycopg.AsyncConnection.connect(
                self._address(), autocommit=True, connect_timeout=5
            ) as connection:
                await connection.execute(SQL("listen {}").format(Identifier(channel)))
                yield (notice.payload async for notice in connection.notifies())
        except psycopg.OperationalError as error:
            raise _away(error) from error

    async def hold(self, number: int | None = None) -> int:
        """Return a number that tells everybody that a run is at work: the same again, where it can still be had.

        Whoever ends, however that is, has let go of it. Raises DatabaseAway.
        """
        try:
            return await self._presence().hold(number)
        except psycopg.OperationalError as error:
            raise _away(error) from error

    async def release(self, number: int) -> None:
        await self._presence().release(number)

    def _presence(self) -> Presence:
        presences = _presences.setdefault(asyncio.get_running_loop(), {})
        return presences.setdefault(self._address(), Presence(self._address()))

    def _address(self) -> str:
        return make_url(self.url.get_secret_value()).set(drivername="postgresql").render_as_string(hide_password=False)

    async def close(self) -> None:
        for presence in _presences.pop(asyncio.get_running_loop(), {}).values():
            await presence.close()
        for lender in _lenders.pop(asyncio.get_running_loop(), {}).values():
            await lender.close()


def _away(error: Exception) -> DatabaseAway:
    return DatabaseAway("The database cannot be reached; try again shortly.", operator=str(error))


def _suspended() -> TenantSuspended:
    return TenantSuspended("This tenant is suspended.")


def _full(error: Exception) -> StorageFull:
    return StorageFull("The database has no room left; nothing of this was stored.", operator=str(error))
