"""Vectors of questions, kept for an hour in Redis where there is one, so that shims and workers embed each once."""

import hashlib
from contextlib import suppress
from uuid import UUID

import numpy as np

from blocks.connections import NAME, embedder
from blocks.embedder import Space
from blocks.shared_cache import CacheAway, SharedCache, shared_cache
from tasks import metered

KEPT_SECONDS = 3600
FORM = np.dtype("<f4")


async def question_vector(
    text: str, tenant_id: UUID, *, block: str = NAME, query_id: UUID | None = None
) -> tuple[metered.Vectors, Space]:
    """Return the L2-normalised vector of a question, shape (dimensions,), by the embedder block, and its space.

    Each tenant's are kept apart, or it could tell by the time it takes what another one has asked.
    """
    cache = shared_cache()
    if cache is None:
        return await _embedded(text, tenant_id, block, query_id)
    space = (await embedder(block)).space
    asked = "\0".join([space.model, str(space.dimensions), text])
    key = f"kowai:vector:{{{tenant_id}}}:{hashlib.sha256(asked.encode()).hexdigest()}"
    kept = await _kept(cache, key, space)
    if kept is not None:
        return kept, space
    vector, space = await _embedded(text, tenant_id, block, query_id)
    with suppress(CacheAway):
        await cache.put(key, vector.astype(FORM).tobytes(), KEPT_SECONDS)
    return vector, space


async def _embedded(text: str, tenant_id: UUID, block: str, query_id: UUID | None) -> tuple[metered.Vectors, Space]:
    vectors, space, *_ = await metered.embed([text], tenant_id, purpose="query", block=block, query_id=query_id)
    return vectors[0], space


async def _kept(cache: SharedCache, key: str, space: Space) -> metered.Vectors | None:
    with suppress(CacheAway):
        kept = await cache.get(key)
        if kept is not None and len(kept) == space.dimensions * FORM.itemsize:
            return np.frombuffer(kept, FORM).astype(np.float32)
    return None
