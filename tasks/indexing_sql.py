"""Store chunks with their vectors and words, in the caller's transaction."""

from collections.abc import Sequence
from typing import Any, LiteralString, cast

import numpy as np
import psycopg
from numpy.typing import NDArray
from pgvector import HalfVector
from pgvector.psycopg import register_vector_async
from sqlalchemy.ext.asyncio import AsyncConnection

from kowai.indexing import ENTER_GRAPH, WRITE_CHUNKS, IndexedDocument, chunk_columns, word_columns


async def driver(connection: AsyncConnection) -> psycopg.AsyncConnection[Any]:
    """Return the psycopg connection below, in the same transaction."""
    return cast("psycopg.AsyncConnection[Any]", (await connection.get_raw_connection()).driver_connection)


async def write_chunks(connection: AsyncConnection, documents: Sequence[IndexedDocument], *, space_id: int) -> None:
    """Add the chunks of documents that have none yet; the tenant is the transaction's.

    Deleting chunks, or the documents they belong to, takes their vectors, postings and counts away by itself.
    """
    raw = await driver(connection)
    if raw.adapters.types.get("halfvec") is None:
        await register_vector_async(raw)
    chunks = chunk_columns(documents)
    vectors = {"embedding": [HalfVector(vector) for vector in chunks.embedding]}
    parameters = chunks._asdict() | vectors | word_columns(documents)._asdict() | {"space_id": space_id}
    await raw.execute(cast("LiteralString", WRITE_CHUNKS), parameters)
    entering = {"space_id": space_id, "most": len(chunks.text)}
    await raw.execute(cast("LiteralString", ENTER_GRAPH), entering)


def matrix(sent: Sequence[bytes | None], dimensions: int) -> NDArray[np.float32]:
    """Return what halfvec_send wrote, a row each: two 16-bit integers, then big-endian half floats."""
    none = bytes(4 + 2 * dimensions)
    halves = np.frombuffer(b"".join(row or none for row in sent), ">f2").reshape(len(sent), 2 + dimensions)
    return halves[:, 2:].astype(np.float32)
