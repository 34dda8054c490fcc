"""Store chunks with their vectors and words, in the caller's transaction."""

import asyncio
import struct
from collections.abc import Sequence
from typing import LiteralString, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from pgvector import HalfVector
from pgvector.psycopg import register_vector_async
from psycopg.adapt import Dumper
from psycopg.pq import Format
from sqlalchemy.ext.asyncio import AsyncConnection

from blocks.lender import driver_of
from kowai.indexing import ENTER_GRAPH, WRITE_CHUNKS, IndexedDocument, chunk_columns, word_columns


class _Integers(NamedTuple):
    array: NDArray[np.int32]


class _IntegersDumper(Dumper):
    """Write an array of integers as PostgreSQL sends one: a head, and before each number its size."""

    format, oid = Format.BINARY, 1007
    HEAD, NUMBER, KIND = ">5i", np.dtype([("size", ">i4"), ("value", ">i4")]), 23

    def dump(self, obj: _Integers) -> bytes:
        numbers = np.empty(len(obj.array), self.NUMBER)
        numbers["size"], numbers["value"] = 4, obj.array
        return struct.pack(self.HEAD, 1, 0, self.KIND, len(numbers), 1) + numbers.tobytes()


async def write_chunks(connection: AsyncConnection, documents: Sequence[IndexedDocument], *, space_id: int) -> None:
    """Add the chunks of documents that have none yet; the tenant is the transaction's.

    Deleting chunks, or the documents they belong to, takes their vectors, postings and counts away by itself.
    """
    raw = driver_of(connection)
    if raw.adapters.types.get("halfvec") is None:
        await raw.send()  # registering opens a transaction of its own where none has begun
        await register_vector_async(raw)
        raw.adapters.register_dumper(_Integers, _IntegersDumper)
    chunks = chunk_columns(documents)
    vectors = {"embedding": [HalfVector(vector) for vector in chunks.embedding]}
    words = await asyncio.to_thread(word_columns, documents)
    numbers = {name: _Integers(getattr(words, name)) for name in ("chunk", "word", "times")}
    parameters = chunks._asdict() | vectors | words._asdict() | numbers | {"space_id": space_id}
    await raw.execute(cast("LiteralString", WRITE_CHUNKS), parameters)
    entering = {"space_id": space_id, "most": len(chunks.text)}
    await raw.execute(cast("LiteralString", ENTER_GRAPH), entering)


def matrix(sent: Sequence[bytes | None], dimensions: int) -> NDArray[np.float32]:
    """Return what halfvec_send wrote, a row each: two 16-bit integers, then big-endian half floats."""
    none = bytes(4 + 2 * dimensions)
    halves = np.frombuffer(b"".join(row or none for row in sent), ">f2").reshape(len(sent), 2 + dimensions)
    return halves[:, 2:].astype(np.float32)
