"""Give stored chunks their vectors in one space."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from blocks.connections import database
from kowai import spaces
from kowai.errors import SpaceMismatch
from kowai.indexing import digest_of, embedded_text
from kowai.terms import known_as
from tasks import metered
from tasks.bought_vectors import drop_bought
from tasks.spaces import StoredSpace

BATCH = 256

Home = tuple[str, str]


class Clothing(NamedTuple):
    """Hold a chunk's vector as pgvector writes it, the digest of the text that it is of, and what it was kept by."""

    id: int
    embedding: str
    digest: UUID
    kept: str | None


class Given(NamedTuple):
    """Count chunks that got a vector, and name the last one; None when no more were without."""

    chunks: int
    last: int | None


async def give_vectors(tenant_id: UUID, space: StoredSpace, home: Home, after: int) -> Given:
    """Embed and store one batch of a tenant's chunks beyond `after` that lack a vector. Raises SpaceMismatch."""
    async with (await database()).transaction(tenant_id) as connection:
        rows = await bare(connection, space, home, after, BATCH)
    if not rows:
        return Given(0, None)
    texts = await embedded(rows, space, tenant_id)
    async with (await database()).transaction(tenant_id) as connection:
        await clothe(connection, space, home, texts)
    return Given(len(rows), rows[-1].id)


async def bare(connection: AsyncConnection, space: StoredSpace, home: Home, after: int, limit: int) -> list[Any]:
    """Return chunks that lack a vector of the space."""
    wanted = {"space": space.id, "after": after, "limit": limit}
    return list((await connection.execute(text(spaces.bare(*home)), wanted)).all())


async def embedded(rows: list[Any], space: StoredSpace, tenant_id: UUID) -> list[Clothing]:
    """Return each chunk's vector. Raises SpaceMismatch when the embedder is of another space."""
    texts = [embedded_text(known_as(row.title, row.external_id), row) for row in rows]
    shares = Counter[UUID](row.document_id for row in rows)
    vectors, made, _, kept = await metered.embed(
        texts, tenant_id, purpose="document", block=space.embedder, shares=shares
    )
    if made != space.space:
        raise SpaceMismatch(
            f"The embedder block '{space.embedder}' now makes vectors of {made.model} ({made.dimensions} dimensions), "
            f"the space is {space.model} ({space.dimensions}): set it back, or start `kowai reindex` again."
        )
    bought = kept or [None] * len(rows)
    return [
        Clothing(row.id, str(vector.tolist()), digest_of(content), key)
        for row, vector, content, key in zip(rows, vectors, texts, bought, strict=True)
    ]


async def clothe(connection: AsyncConnection, space: StoredSpace, home: Home, vectors: Sequence[Clothing]) -> None:
    """Store vectors of chunks that are still there."""
    ids, embeddings, digests, kept = map(list, zip(*vectors, strict=True))
    values = {"space": space.id, "ids": ids, "embeddings": embeddings, "digests": digests}
    await connection.execute(text(spaces.clothe(*home)), values)
    await drop_bought(connection, [key for key in kept if key])
