"""Vectors that were paid for of late, so that what is done once more after a failure is not paid once more."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from threading import Lock
from uuid import UUID

import numpy as np
from cachetools import TTLCache
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from blocks.connections import database
from blocks.embedder import Space
from tasks import accounts, spool

MOST_BYTES, SECONDS = 50_000_000, 600  # some ten thousand vectors
FORM = np.dtype("<f4")
FIND = text("select text_hash, vector from bought_vector where text_hash = any(:hashes)")
DROP = text("delete from bought_vector where text_hash = any(:hashes)")

Vector = NDArray[np.float32]


class BoughtVectors:
    """Keep vectors by tenant and hash for some minutes; no text is kept, and what is oldest goes first."""

    def __init__(self, most_bytes: int = MOST_BYTES, seconds: float = SECONDS) -> None:
        self._kept: TTLCache[tuple[UUID, str], Vector] = TTLCache(
            most_bytes, seconds, getsizeof=lambda vector: vector.nbytes
        )
        self._lock = Lock()

    def find(self, tenant_id: UUID, hashes: Sequence[str]) -> dict[str, Vector]:
        """Return the vectors of those hashes that have one."""
        with self._lock:
            found = {key: self._kept.get((tenant_id, key)) for key in hashes}
        return {key: vector for key, vector in found.items() if vector is not None}

    def keep(self, tenant_id: UUID, vectors: Mapping[str, Vector]) -> None:
        with self._lock:
            for key, vector in vectors.items():
                if vector.nbytes <= self._kept.maxsize:
                    self._kept[tenant_id, key] = vector


def hash_of(tenant_id: UUID, space: Space, content: str) -> str:
    """Return what a text's vector is kept by: two tenants' hashes of one text differ."""
    return sha256(tenant_id.bytes + f"{space.model}\0{space.dimensions}\0{content}".encode()).hexdigest()


async def find_stored(tenant_id: UUID, hashes: Sequence[str]) -> dict[str, Vector]:
    """Return the vectors that the tenant has paid for and not indexed, those too that a dead process left behind."""
    for settlement in spool.left(tenant_id):
        await accounts.settle(settlement)
    async with (await database()).transaction(tenant_id) as connection:
        rows = (await connection.execute(FIND, {"hashes": list(hashes)})).all()
    return {row.text_hash: np.frombuffer(row.vector, FORM).astype(np.float32) for row in rows}


def as_stored(vector: Vector) -> bytes:
    return vector.astype(FORM).tobytes()


async def drop_bought(connection: AsyncConnection, hashes: Sequence[str]) -> None:
    """Let go of vectors that are indexed by the same transaction."""
    if hashes:
        await connection.execute(DROP, {"hashes": list(hashes)})
