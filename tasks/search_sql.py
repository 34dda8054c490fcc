"""Run a hybrid search in the caller's transaction: two statements, whatever the size of the tenant."""

from collections.abc import Mapping, Sequence
from typing import Any, LiteralString, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from blocks.lender import driver_of
from kowai.errors import SpaceMismatch
from kowai.filters import Filters, checked_filters
from kowai.ranking import Candidate, Wanted, rank
from kowai.search import Statement, Vector, find, survey, surveyed, weigh
from kowai.types import Passage
from tasks.history import knowledge_of, titled
from tasks.indexing_sql import matrix

POOL = 100
# The text between is the document's own, so that what overlaps comes once and citations still count its characters.
NEIGHBOURS = """
select near.id, near.start, near.end, substr(v.text, near.start + 1, near.end - near.start) as text from (
  select hit.id, hit.document_id, hit.version, min(n.start_char) as start, max(n.end_char) as end
  from chunk as hit join chunk as n on n.document_id = hit.document_id and n.version = hit.version
    and n.heading_path = hit.heading_path and n.ordinal between hit.ordinal - :neighbours and hit.ordinal + :neighbours
  where hit.id = any(:ids) group by 1, 2, 3
) as near join document_version as v on v.document_id = near.document_id and v.version = near.version
"""


class Extent(NamedTuple):
    """Say how good a passage must be, from 0 to 1, and how many chunks of its heading before and after it join it."""

    min_score: float = 0.0
    neighbours: int = 0


WHOLE = Extent()


class Found(NamedTuple):
    """Hold what both halves propose, a row of `vectors` each, and what the question wants of it."""

    candidates: list[Candidate]
    vectors: NDArray[np.float32]
    wanted: Wanted


async def search(
    connection: AsyncConnection,
    question: str,
    vector: Vector,
    *,
    space: str,
    k: int = 10,
    filters: Mapping[str, Any] | None = None,
    extent: Extent = WHOLE,
    trial: bool = False,
) -> list[Passage]:
    """Return the tenant's best `k` passages. Raises FilterInvalid, and SpaceMismatch when no vector is comparable.

    `trial` searches a space that is not in use yet.
    """
    chosen = checked_filters(filters or {})
    wanted: dict[str, Any] = {"space": space, "filters": chosen, "pool": max(POOL, 2 * k), "trial": trial}
    if chosen.as_of is None:
        return await _extended(connection, _ranked(await propose(connection, question, vector, **wanted), k), extent)
    async with knowledge_of(connection, chosen.as_of):
        passages = _ranked(await propose(connection, question, vector, **wanted), k)
        passages = await _extended(connection, passages, extent)
    return await titled(connection, passages)


def _ranked(found: Found | None, k: int) -> list[Passage]:
    return [Passage(**candidate._asdict(), score=score) for candidate, score in rank(*found, k)] if found else []


async def _extended(connection: AsyncConnection, passages: Sequence[Passage], extent: Extent) -> list[Passage]:
    """Leave out weak passages and join the others with the chunks around them."""
    strong = [passage for passage in passages if passage.score >= extent.min_score]
    if not strong or not extent.neighbours:
        return strong
    asked = {"ids": [passage.chunk_id for passage in strong], "neighbours": extent.neighbours}
    rows = await connection.execute(text(NEIGHBOURS), asked)
    around = {row.id: {"start": row.start, "end": row.end, "text": row.text} for row in rows}
    return [passage.model_copy(update=around.get(passage.chunk_id, {})) for passage in strong]


async def propose(
    connection: AsyncConnection,
    question: str,
    vector: Vector,
    *,
    space: str,
    filters: Filters,
    pool: int = POOL,
    trial: bool = False,
) -> Found | None:
    """Return up to `pool` candidates of each half, scored by both; None where nothing can be found."""
    asked = survey(question, filters, space=space, dimensions=len(vector), trial=trial)
    known = surveyed(await _rows(connection, asked))
    if not known.chunks or not known.scope:
        return None
    if known.space_id is None:
        raise SpaceMismatch(f"No document is indexed for the embedding model '{space}': index them again with it.")
    weighted = weigh(question, known)
    rows = await _rows(connection, find(vector, known, weighted, filters, space_id=known.space_id, pool=pool))
    if not rows:
        return None
    vectors = matrix([row[-1] for row in rows], len(vector))
    return Found([Candidate(*row[:-1]) for row in rows], vectors, weighted.wanted)


async def _rows(connection: AsyncConnection, statement: Statement) -> Sequence[Sequence[Any]]:
    sql, parameters = statement
    cursor = await driver_of(connection).execute(cast("LiteralString", sql), parameters, binary=True)
    return await cursor.fetchall()
