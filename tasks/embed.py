"""Give every chunk of a batch its vector."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from blocks.connections import NAME
from blocks.embedder import Space
from kowai.indexing import embedded_text
from tasks import metered
from tasks.read import Reading
from tasks.spaces import current_embedder
from tasks.step import patient_step


class Embedded(NamedTuple):
    """Hold, for each item that is a document, one L2-normalised row a chunk, their space and what embedded them."""

    space: Space
    vectors: dict[UUID, NDArray[np.float32]]
    embedder: str = NAME


@patient_step
async def embed_chunks(readings: Sequence[Reading]) -> Embedded:
    """Embed all chunks of a batch in one call, by the current space's embedder."""
    block = await current_embedder()
    documents = [reading for reading in readings if reading.document is not None]
    texts = [embedded_text(reading.called, chunk) for reading in documents for chunk in reading.chunks]
    vectors, space = await metered.embed(texts, purpose="document", block=block)
    ends = np.cumsum([len(reading.chunks) for reading in documents])
    rows = np.split(vectors, ends[:-1]) if documents else []
    return Embedded(space, {reading.item_id: row for reading, row in zip(documents, rows, strict=True)}, block)
