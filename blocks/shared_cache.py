"""Redis, where there is one: only a cache that several shims share; whatever it holds may be lost at any moment."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from kowai.errors import Misconfigured
from kowai.settings import settings

PATIENCE_SECONDS = 0.25
REST_SECONDS = 5.0


class CacheAway(Exception):
    """Say that the cache does not answer, and that one has to do without it."""


class SharedCache:
    """Hold the connections of one event loop; after a failure Redis is left alone for five seconds."""

    def __init__(self, url: str) -> None:
        try:
            from redis.asyncio import Redis
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff
        except ImportError as error:
            raise Misconfigured("KOWAI_REDIS_URL is set: install kowai[redis].") from error
        patience: dict[str, Any] = {"socket_timeout": PATIENCE_SECONDS, "socket_connect_timeout": PATIENCE_SECONDS}
        self._redis: Any = Redis.from_url(url, retry=Retry(NoBackoff(), 0), **patience)
        self._rests_until = 0.0

    async def close(self) -> None:
        await self._redis.aclose()

    async def run(self, script: str, keys: Sequence[str], arguments: Sequence[int]) -> list[int]:
        """Return what a Lua script returns, which is atomic. Raises CacheAway."""
        return await self._asked(self._redis.register_script(script)(keys=list(keys), args=list(arguments)))

    async def get(self, key: str) -> bytes | None:
        """Return what is kept under `key`. Raises CacheAway."""
        return await self._asked(self._redis.get(key))

    async def put(self, key: str, content: bytes, seconds: int) -> None:
        """Keep `content` for so long at most. Raises CacheAway."""
        await self._asked(self._redis.set(key, content, ex=seconds))

    async def version(self) -> str:
        """Return Redis's version, asking also while it is left alone. Raises CacheAway."""
        self._rests_until = 0.0
        return (await self._asked(self._redis.info("server")))["redis_version"]

    async def _asked(self, call: Any) -> Any:
        from redis.exceptions import RedisError

        if time.monotonic() < self._rests_until:
            call.close()
            raise CacheAway
        try:
            return await call
        except (RedisError, OSError, TimeoutError) as error:
            self._rests_until = time.monotonic() + REST_SECONDS
            raise CacheAway from error


_caches: WeakKeyDictionary[asyncio.AbstractEventLoop, SharedCache] = WeakKeyDictionary()


def shared_cache() -> SharedCache | None:
    """Return this loop's connections to KOWAI_REDIS_URL, None where there is none. Raises Misconfigured."""
    url = settings().redis_url
    if url is None:
        return None
    loop = asyncio.get_running_loop()
    if loop not in _caches:
        _caches[loop] = SharedCache(url.get_secret_value())
    return _caches[loop]
