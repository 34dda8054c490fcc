"""Show that work is going on: PostgreSQL lets go of a session's locks when the session ends, however it ends."""

import asyncio
import secrets
from contextlib import suppress
from typing import Any

import psycopg

from kowai.presence import KIND

# A server learns within half a minute that a machine is gone that could not say so.
OPTIONS = "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=4"


class Presence:
    """Hold an advisory lock for each run at work, in one session of the process's own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session: psycopg.AsyncConnection[Any] | None = None
        self._held = set[int]()
        self._turn = asyncio.Lock()

    async def hold(self, number: int | None = None) -> int:
        """Return a number that at_work() knows: the one given, where it can still be had, or a new one."""
        async with self._turn:
            session = await self._living_session()
            while number not in self._held:
                number = number or 1 + secrets.randbelow(2**31 - 1)
                cursor = await session.execute("select pg_try_advisory_lock(%s, %s)", (KIND, number))
                if await cursor.fetchone() == (True,):
                    self._held.add(number)
                else:
                    number = None
            return number

    async def release(self, number: int) -> None:
        """Let go of a number; a session that was lost has let go of it before."""
        async with self._turn:
            if number in self._held and self._session is not None:
                self._held.remove(number)
                with suppress(psycopg.OperationalError):
                    await self._session.execute("select pg_advisory_unlock(%s, %s)", (KIND, number))

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
        self._session = None
        self._held.clear()

    async def _living_session(self) -> psycopg.AsyncConnection[Any]:
        if self._session is not None:
            with suppress(psycopg.OperationalError):
                await self._session.execute("select")
                return self._session
        await self.close()
        options: dict[str, Any] = {"options": OPTIONS, "connect_timeout": 5, "application_name": "kowai at work"}
        self._session = await psycopg.AsyncConnection.connect(self._url, autocommit=True, **options)
        return self._session
