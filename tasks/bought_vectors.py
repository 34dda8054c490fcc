"""Vectors that were paid for of late, so that what is done once more after a failure is not paid once more."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from threading import Lock
from uuid import UUID

import numpy as np
from cachetools import TTLCache
from numpy.typing import NDArray

from blocks.embedder import Space

MOST_BYTES, SECONDS = 50_000_000, 600  # some ten thousand vectors

Vector = NDArray[np.float32]


class BoughtVectors:
    """Keep vectors by tenant, space and text for some minutes; no text is kept, and what is oldest goes first."""

    def __init__(self, most_bytes: int = MOST_BYTES, seconds: float = SECONDS) -> None:
        self._kept: TTLCache[bytes, Vector] = TTLCache(most_bytes, seconds, getsizeof=lambda vector: vector.nbytes)
        self._lock = Lock()

    def find(self, tenant_id: UUID, space: Space, texts: Sequence[str]) -> dict[str, Vector]:
        """Return the vectors of those texts that have one."""
        with self._lock:
            found = {text: self._kept.get(_key(tenant_id, space, text)) for text in texts}
        return {text: vector for text, vector in found.items() if vector is not None}

    def keep(self, tenant_id: UUID, space: Space, vectors: Mapping[str, Vector]) -> None:
        with self._lock:
            for text, vector in vectors.items():
                if vector.nbytes <= self._kept.maxsize:
                    self._kept[_key(tenant_id, space, text)] = vector


def _key(tenant_id: UUID, space: Space, text: str) -> bytes:
    return sha256(tenant_id.bytes + f"{space.model}\0{space.dimensions}\0{text}".encode()).digest()
