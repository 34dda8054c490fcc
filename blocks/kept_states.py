"""What an encoder has made of texts of late: no text is kept, only what its tokens became."""

import asyncio
import json
import time
from collections.abc import Sequence
from hashlib import sha256
from threading import Lock
from uuid import UUID

from cachetools import TTLCache

from kowai.embedding.states import Encoded


class KeptStates:
    """Keep what was read together for some seconds, and not much longer; of more bytes, the last used stay.

    Each tenant's are kept apart, or it could tell by the time it takes what another one has asked. Texts count together
    as they were read: beside others, the states of a text differ in their last bits.
    """

    def __init__(self, most_bytes: int, seconds: float) -> None:
        self._kept: TTLCache[bytes, Sequence[Encoded]] = TTLCache(most_bytes, seconds, getsizeof=_size)
        self._lock = Lock()
        self._seconds, self._due = seconds, 0.0

    def get(self, tenant_id: UUID, texts: Sequence[str]) -> Sequence[Encoded] | None:
        with self._lock:
            return self._kept.get(_key(tenant_id, texts))

    def put(self, tenant_id: UUID, texts: Sequence[str], read: Sequence[Encoded]) -> None:
        if _size(read) <= self._kept.maxsize:
            with self._lock:
                self._kept[_key(tenant_id, texts)] = read
            if time.monotonic() >= self._due:
                self._expire_later()

    def _expire_later(self) -> None:
        self._due = time.monotonic() + self._seconds
        asyncio.get_running_loop().call_later(self._seconds, self._expire)

    def _expire(self) -> None:
        """Forget what is past its time: the cache by itself does so when it is next used, which may be never."""
        with self._lock:
            self._kept.expire()
            left = len(self._kept)
        if left:
            self._expire_later()


def _key(tenant_id: UUID, texts: Sequence[str]) -> bytes:
    return sha256(tenant_id.bytes + json.dumps(texts).encode()).digest()


def _size(read: Sequence[Encoded]) -> int:
    return sum(each.nbytes for encoded in read for each in encoded)
