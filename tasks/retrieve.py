"""Find the passages that may answer a question."""

from typing import Any
from uuid import UUID

from blocks.connections import database
from kowai.errors import SpaceMismatch
from kowai.types import Passage, Question
from tasks import metered
from tasks.search_sql import WHOLE, Extent, search
from tasks.spaces import current_embedder
from tasks.step import step
from tasks.versions import answering_of


@step
async def retrieve(question: Question) -> list[Passage]:
    """Return the best passages for the question, best first."""
    chosen = await answering_of(question)
    wanted: dict[str, Any] = {"k": chosen.retrieval.passages, "filters": question.filters}
    return await find_passages(question.standalone, question.tenant_id, **wanted, embedder=chosen.embedder)


async def find_passages(
    text: str,
    tenant_id: UUID,
    *,
    k: int,
    filters: dict[str, Any],
    extent: Extent = WHOLE,
    embedder: str | None = None,
) -> list[Passage]:
    """Embed the text and run one hybrid search over the tenant's documents, both in the space that is current.

    An `embedder` block named is one whose space is on trial.
    """
    block = embedder or await current_embedder()
    vectors, space = await metered.embed([text], purpose="query", block=block)
    try:
        async with (await database()).transaction(tenant_id) as connection:
            wanted: dict[str, Any] = {"k": k, "filters": filters, "extent": extent, "trial": embedder is not None}
            return await search(connection, text, vectors[0].tolist(), space=space.model, **wanted)
    except SpaceMismatch:
        if embedder is not None or await current_embedder() == block:
            raise
    return await find_passages(
        text, tenant_id, k=k, filters=filters, extent=extent
    )  # that space has been switched and dropped
