"""Find the passages that may answer a question."""

from typing import Any, NamedTuple
from uuid import UUID

import structlog

from blocks.connections import database
from kowai.errors import BudgetExhausted, SpaceMismatch
from kowai.reranking import RerankerFailed, reordered
from kowai.types import Passage, Question, Verdict
from tasks import metered
from tasks.question_vectors import question_vector
from tasks.search_sql import WHOLE, Extent, search
from tasks.spaces import current_embedder
from tasks.step import step
from tasks.versions import answering_of

log = structlog.get_logger()


class Retrieved(NamedTuple):
    """Hold passages, best first; `note` says, in a sentence, which help was missing when they were put in order.

    `calls` names the reranker's call, if there was one; `refusal` says that the search would have cost too much.
    """

    passages: list[Passage]
    note: str | None = None
    calls: tuple[UUID, ...] = ()
    refusal: Verdict | None = None


@step
async def retrieve(question: Question) -> Retrieved:
    """Return the best passages for the question, best first, in the order of the reranker that its settings name.

    Where even the question's vector would cost more than may be spent there are none, but a refusal.
    """
    chosen = await answering_of(question)
    wanted: dict[str, Any] = {"k": chosen.retrieval.passages, "filters": question.filters, "query_id": question.id}
    wanted |= {"embedder": chosen.embedder, "current": question.embedder}
    try:
        return await find_reranked(question.standalone, question.tenant_id, chosen.retrieval.reranker, **wanted)
    except BudgetExhausted as error:
        return Retrieved([], refusal=Verdict(allowed=False, code=error.code, sentence=error.sentence))


async def find_reranked(
    text: str,
    tenant_id: UUID,
    reranker: str | None,
    *,
    k: int,
    query_id: UUID | None = None,
    **wanted: Any,
) -> Retrieved:
    """Search as `wanted`, and let the reranker of that name put the best in order.

    Where there is none or it cannot, the search's order stands.
    """
    wanted["query_id"] = query_id
    if reranker is None:
        return Retrieved(await find_passages(text, tenant_id, k=k, **wanted))
    candidates = await metered.rerankable(reranker)
    found = await find_passages(text, tenant_id, k=max(k, candidates), **wanted)
    if len(found) < 2:
        return Retrieved(found[:k])
    try:
        best, rest = found[:candidates], found[candidates:]
        asked: dict[str, Any] = {"reranker": reranker, "query_id": query_id}
        scores, call_id = await metered.rerank(text, [passage.text for passage in best], tenant_id, **asked)
    except (RerankerFailed, BudgetExhausted) as error:
        log.warning("reranker_missing", code=error.code, sentence=error.sentence)
        return Retrieved(found[:k], f"{error.sentence} The passages are in the order of the search.")
    told = [passage.model_copy(update={"relevance": scores.get(place)}) for place, passage in enumerate(best)]
    return Retrieved([*reordered(told, scores), *rest][:k], calls=(call_id,) if call_id else ())


async def find_passages(
    text: str,
    tenant_id: UUID,
    *,
    k: int,
    filters: dict[str, Any],
    extent: Extent = WHOLE,
    embedder: str | None = None,
    query_id: UUID | None = None,
    current: str | None = None,
) -> list[Passage]:
    """Embed the text and run one hybrid search over the tenant's documents, both in the space that is current.

    An `embedder` block named is one whose space is on trial; `current` is the block of the space that was current
    when somebody looked last, and may have been dropped since.
    """
    block = embedder or current or await current_embedder()
    vector, space = await question_vector(text, tenant_id, block=block, query_id=query_id)
    try:
        async with (await database()).transaction(tenant_id) as connection:
            wanted: dict[str, Any] = {"k": k, "filters": filters, "extent": extent, "trial": embedder is not None}
            return await search(connection, text, vector.tolist(), space=space.model, **wanted)
    except SpaceMismatch:
        if embedder is not None or await current_embedder() == block:
            raise
    return await find_passages(
        text, tenant_id, k=k, filters=filters, extent=extent, query_id=query_id
    )  # that space has been switched and dropped
