"""What an encoder has made of texts of late: no text is kept, only what its tokens became."""

import json
from collections.abc import Sequence
from hashlib import sha256
from threading import Lock
from uuid import UUID

from cachetools import TTLCache

from kowai.embedding.states import Encoded


class KeptStates:
    """Keep what was read together for some seconds, up to so many bytes; what was used longest ago goes first.

    Each tenant's are kept apart, or it could tell by the time it takes what another one has asked. Texts count together
    as they were read: beside others, the states of a text differ in their last bits.
    """

    def __init__(self, most_bytes: int, seconds: float) -> None:
        self._kept: TTLCache[bytes, Sequence[Encoded]] = TTLCache(most_bytes, seconds, getsizeof=_size)
        self._lock = Lock()

    def get(self, tenant_id: UUID, texts: Sequence[str]) -> Sequence[Encoded] | None:
        with self._lock:
            return self._kept.get(_key(tenant_id, texts))

    def put(self, tenant_id: UUID, texts: Sequence[str], read: Sequence[Encoded]) -> None:
        if _size(read) <= self._kept.maxsize:
            with self._lock:
                self._kept[_key(tenant_id, texts)] = read


def _key(tenant_id: UUID, texts: Sequence[str]) -> bytes:
    return sha256(tenant_id.bytes + json.dumps(texts).encode()).digest()


def _size(read: Sequence[Encoded]) -> int:
    return sum(each.nbytes for encoded in read for each in encoded)
