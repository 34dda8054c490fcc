"""Run a hybrid search in the caller's transaction: two statements, whatever the size of the tenant."""

from collections.abc import Mapping, Sequence
from typing import Any, LiteralString, cast

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.ext.asyncio import AsyncConnection

from kowai.errors import SpaceMismatch
from kowai.filters import checked_filters
from kowai.ranking import Candidate, rank
from kowai.search import Statement, find, survey, surveyed, weigh
from kowai.types import Passage
from tasks.indexing_sql import driver

POOL = 100


async def search(
    connection: AsyncConnection,
    question: str,
    vector: Sequence[float],
    *,
    space: str,
    k: int = 10,
    filters: Mapping[str, Any] | None = None,
) -> list[Passage]:
    """Return the tenant's best `k` passages. Raises FilterInvalid, and SpaceMismatch when no vector is comparable."""
    chosen = checked_filters(filters or {})
    known = surveyed(await _rows(connection, survey(question, chosen, space=space)))
    if not known.chunks or not known.scope:
        return []
    if known.space_id is None:
        raise SpaceMismatch(f"No document is indexed for the embedding model '{space}': index them again with it.")
    weighted = weigh(question, known)
    statement = find(vector, known, weighted, chosen, space_id=known.space_id, pool=max(POOL, 2 * k))
    rows = await _rows(connection, statement)
    candidates = [Candidate(*row[:-1]) for row in rows]
    ranked = rank(candidates, _matrix([row[-1] for row in rows], len(vector)), weighted.wanted, k)
    return [Passage(**candidate._asdict(), score=score) for candidate, score in ranked]


async def _rows(connection: AsyncConnection, statement: Statement) -> Sequence[Sequence[Any]]:
    sql, parameters = statement
    cursor = await (await driver(connection)).execute(cast("LiteralString", sql), parameters, binary=True)
    return await cursor.fetchall()


def _matrix(sent: Sequence[bytes | None], dimensions: int) -> NDArray[np.float32]:
    """Return what halfvec_send wrote, a row each: two 16-bit integers, then big-endian half floats."""
    none = bytes(4 + 2 * dimensions)
    return np.frombuffer(b"".join(row or none for row in sent), ">f2").reshape(len(sent), -1)[:, 2:].astype(np.float32)
