"""Give every chunk of a batch its vector."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.ext.asyncio import AsyncConnection

from blocks.connections import NAME, database
from blocks.embedder import Space
from blocks.lender import driver_of
from kowai.indexing import KNOWN_VECTORS, digest_of, embedded_text
from tasks import metered
from tasks.indexing_sql import matrix
from tasks.read import Reading
from tasks.spaces import StoredSpace, current_in
from tasks.step import patient_step


class Embedded(NamedTuple):
    """Hold, for each item that is a document, one L2-normalised row a chunk, their space and what embedded them.

    `bought` is what paid vectors are kept by until they are indexed.
    """

    space: Space
    vectors: dict[UUID, NDArray[np.float32]]
    embedder: str = NAME
    bought: tuple[str, ...] = ()


@patient_step
async def embed_chunks(readings: Sequence[Reading], tenant_id: UUID) -> Embedded:
    """Embed the chunks of a batch in one call, by the current space's embedder; what is embedded already is not again.

    That is a text that the tenant's knowledge holds, or that another chunk of the batch has.
    """
    documents = [reading for reading in readings if reading.document is not None]
    texts = [embedded_text(reading.called, chunk) for reading in documents for chunk in reading.chunks]
    digests = [digest_of(text) for text in texts]
    owners = dict(zip(digests, (reading.item_id for reading in documents for _ in reading.chunks), strict=True))
    async with (await database()).transaction(tenant_id) as connection:
        current = await current_in(connection)
        known = await _known(connection, digests, current) if current and texts else {}
    block = current.embedder if current else NAME
    new = {digest: text for digest, text in zip(digests, texts, strict=True) if digest not in known}
    vectors, space, _, bought = await _bought(new, owners, tenant_id, block)
    if known and current and space != current.space:  # the block was changed: its vectors go with no others
        known, new = {}, dict(zip(digests, texts, strict=True))
        vectors, space, _, bought = await _bought(new, owners, tenant_id, block)
    found = known | dict(zip(new, vectors, strict=True))
    rows = iter([found[digest] for digest in digests])
    stacked = {one.item_id: np.array([next(rows) for _ in one.chunks], np.float32) for one in documents}
    return Embedded(space, stacked, block, bought)


async def _bought(
    new: Mapping[UUID, str], owners: Mapping[UUID, UUID], tenant_id: UUID, block: str
) -> metered.Embedding:
    """Return the vectors of texts by their digests, on the account of the items whose they are."""
    shares = Counter(owners[digest] for digest in new)
    return await metered.embed(list(new.values()), tenant_id, purpose="document", block=block, shares=shares)


async def _known(
    connection: AsyncConnection, digests: Sequence[UUID], space: StoredSpace
) -> dict[UUID, NDArray[np.float32]]:
    """Return the vectors that texts of these digests have in the tenant's knowledge."""
    wanted: dict[str, Any] = {"space_id": space.id, "digests": list(set(digests))}
    cursor = await driver_of(connection).execute(KNOWN_VECTORS, wanted, binary=True)
    rows = await cursor.fetchall()
    return dict(zip([row[0] for row in rows], matrix([row[1] for row in rows], space.dimensions), strict=True))
