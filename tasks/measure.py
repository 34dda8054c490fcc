"""Measure one answer of an evaluation by what its case expects."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects import postgresql

from blocks.connections import database
from kowai import metrics
from kowai.quoting import Embed
from kowai.suites import Case, named
from kowai.tables.evaluations import CaseScore
from tasks.judge import judge
from tasks.retrieve import find_reranked
from tasks.sentence_vectors import sentence_vectors_for
from tasks.step import step
from tasks.versions import answering_by

CHUNKS, DOCUMENTS = 50, 10

READ = text("""
select i.batch_id, q.id as query_id, q.persona, q.pins, q.standalone, q.filters, q.started_at, q.finished_at, a.text,
  a.citations, a.abstained, a.cost, a.versions, c.content, e.judged
from batch_item i join query q on q.id = i.id join answer a on a.query_id = i.id
join set_question s on s.id = i.question_id
join suite_case c on c.suite_id = s.question_set_id and c.key = s.key join evaluation e on e.id = i.batch_id
where i.id = :id
""")


@step
async def measure(item_id: UUID, tenant_id: UUID) -> None:
    """Store the scores of an item's answer; an item without an answer has none. Raises JudgeNonsense."""
    async with (await database()).transaction(tenant_id) as connection:
        row = (await connection.execute(READ, {"id": item_id})).one_or_none()
    if row is None:
        return
    case = Case.model_validate(row.content)
    scores = _effort(row) | await _ranking(case, row, tenant_id)
    if not row.abstained and case.documents and row.citations:
        cited = named([citation["external_id"] for citation in row.citations], case.documents)
        scores["citation_precision"] = metrics.precision(cited, case.documents)
    scores |= await _likeness(case, row, tenant_id)
    reason = None
    if row.judged:
        verdict = await judge(case, row.text, tenant_id, item_id)
        scores["judge"], reason = verdict
    values = {"id": item_id, "tenant_id": tenant_id, "evaluation_id": row.batch_id, "abstained": row.abstained}
    stored = postgresql.insert(CaseScore).values(**values, scores=scores, reason=reason).on_conflict_do_nothing()
    async with (await database()).transaction(tenant_id) as connection:
        await connection.execute(stored)


def _effort(row: Any) -> dict[str, float]:
    known = {"latency_seconds": (row.finished_at - row.started_at).total_seconds()}
    return known if row.cost is None else known | {"cost_dollars": float(row.cost)}


async def _ranking(case: Case, row: Any, tenant_id: UUID) -> dict[str, float]:
    """Rank documents as the answer's search did, but further down."""
    if not any(case.documents.values()):
        return {}
    embedder = (await answering_by(row.persona, _versions(row.pins), tenant_id)).embedder
    by = (await answering_by(row.persona, _versions(row.versions), tenant_id)).retrieval.reranker
    wanted: dict[str, Any] = {"k": CHUNKS, "filters": row.filters, "query_id": row.query_id, "embedder": embedder}
    passages, *_ = await find_reranked(row.standalone, tenant_id, by, **wanted)
    found = list(dict.fromkeys(named([passage.external_id for passage in passages], case.documents)))[:DOCUMENTS]
    return {
        "recall_at_5": metrics.recall_at(5, found, case.documents),
        "recall_at_10": metrics.recall_at(10, found, case.documents),
        "ndcg_at_10": metrics.ndcg_at(10, found, case.documents),
        "mrr": metrics.reciprocal_rank(found, case.documents),
    }


def _versions(pins: dict[str, str] | None) -> dict[str, UUID]:
    return {slot: UUID(version) for slot, version in (pins or {}).items()}


async def _likeness(case: Case, row: Any, tenant_id: UUID) -> dict[str, float]:
    """Compare with what was expected; an abstention says nothing of it."""
    said = "" if row.abstained else str(row.text)
    scores: dict[str, float] = {}
    if case.answers or case.facts:
        scores["containment"] = metrics.containment(said, case.answers, case.facts)
    if case.answers:
        scores["exact_match"] = metrics.exact_match(said, case.answers)
        scores["token_f1"] = metrics.token_f1(said, case.answers)
        scores["semantic_similarity"] = (
            await _similarity(said, case.answers, sentence_vectors_for(tenant_id, row.query_id)) if said else 0.0
        )
    return scores


async def _similarity(said: str, expected: Sequence[str], embed: Embed) -> float:
    vectors = await embed([metrics.uncited(said), *expected])
    return float(min(1.0, max(0.0, (vectors[1:] @ vectors[0]).max())))
