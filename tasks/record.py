"""Write down what became of a question, in one transaction each."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import bindparam, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from blocks.compiled import Compiled
from blocks.connections import database
from kowai import erasure
from kowai.errors import KowaiError
from kowai.tables.queries import AnswerRow, Query
from kowai.types import Draft, Finding, Passage, Question, Verdict
from kowai.versions import slots_of
from tasks import event_log
from tasks.conversation_turns import LAPSED
from tasks.deleted import keep_deletions_out, quotes_deleted, void_overtaken, void_quotes
from tasks.findings import report_findings
from tasks.paid import Paid, embedding_is_paid, paid_in, sum_paid
from tasks.step import step

AS_DRAFTED = {"text", "confidence", "abstained", "model", "fallback", "persona_version"}
STORE = Compiled(
    postgresql.insert(AnswerRow).on_conflict_do_nothing(index_elements=["query_id"]),
    *("id", "tenant_id", "query_id", "citations", "sentences", "prompt", "passages", "note", "versions"),
    *("usage", "cost", *sorted(AS_DRAFTED)),
)
INTERNAL = "Something went wrong on our side; the question is stored and can be asked again."


@step
async def record_answer(
    question: Question,
    draft: Draft,
    passages: Sequence[Passage],
    note: str | None = None,
    calls: Sequence[UUID] = (),
) -> None:
    """Store the answer with the passages it was made from, what help was missing and what all its calls cost.

    What was deleted meanwhile may not be quoted. `calls` are those that found the passages.
    """
    values = {
        "id": uuid4(),
        "tenant_id": question.tenant_id,
        "query_id": question.id,
        "citations": [citation.model_dump(mode="json") for citation in draft.citations],
        "sentences": [sentence.model_dump(mode="json") for sentence in draft.sentences],
        "prompt": draft.prompt.model_dump(mode="json") if draft.prompt else {},
        "passages": [passage.model_dump(mode="json") for passage in passages],
        "note": note,
        "versions": {slot: str(id) for slot, id in question.versions.items() if slot in slots_of(question.persona)},
        **draft.model_dump(include=AS_DRAFTED),
    }
    used = (*question.calls, *calls, *(draft.prompt.calls if draft.prompt else ()))
    async with (await database()).transaction(question.tenant_id, by_key=True) as connection:
        if await quotes_deleted(connection, passages):
            await void_quotes(connection, question.id)
            refusal = {"refusal": erasure.CAUSE, "sentence": erasure.SENTENCE}
            await _close(connection, question.id, question.tenant_id, "refused", **refusal)
            return
        asked = used or note or embedding_is_paid()  # a reranker that failed may have been paid all the same
        summed = sum_paid(connection, used, question.id) if asked else None
        if closed := await _close(connection, question.id, question.tenant_id, "done"):
            paid = await paid_in(summed) if summed else Paid(draft.usage, draft.cost)
            cost = {"usage": paid.usage.model_dump(), "cost": paid.cost}
            STORE.later(connection, values | cost)
            await report_findings(connection, question.id, question.tenant_id, draft.findings)
    if not closed:
        async with (await database()).transaction(question.tenant_id) as connection:
            await keep_deletions_out(connection)
            await void_overtaken(connection, question.id)


@step
async def record_refusal(query_id: UUID, tenant_id: UUID, verdict: Verdict) -> None:
    """Store why a question was not answered, be it that its tenant is suspended."""
    why = {"refusal": verdict.code, "sentence": verdict.sentence}
    await _close_unanswered(query_id, tenant_id, "refused", verdict.findings, **why)


@step
async def record_failure(query_id: UUID, tenant_id: UUID, error: Exception) -> None:
    """Store that answering broke, with the sentence the user may see."""
    known = error if isinstance(error, KowaiError) else KowaiError(INTERNAL)
    await _close_unanswered(query_id, tenant_id, "failed", refusal=known.code, sentence=known.sentence)


async def close_crashed(query_id: UUID, tenant_id: UUID, sentence: str) -> None:
    """Store that the process answering this question died; a question that was answered all the same stays so."""
    await _close_unanswered(query_id, tenant_id, "failed", refusal="crashed", sentence=sentence)


async def close_stopped(query_id: UUID, tenant_id: UUID, sentence: str) -> None:
    """Store that answering was given up; a question that was answered all the same stays so."""
    await _close_unanswered(query_id, tenant_id, "stopped", refusal="stopped", sentence=sentence)


async def _close_unanswered(
    query_id: UUID, tenant_id: UUID, status: str, findings: Sequence[Finding] = (), **why: Any
) -> None:
    """Close a question that has no answer; what was said on the way and may quote what is deleted goes."""
    async with (await database()).transaction(tenant_id, even_suspended=True) as connection:
        await keep_deletions_out(connection)
        await report_findings(connection, query_id, tenant_id, findings)
        await _close(connection, query_id, tenant_id, status, **why)
        await void_overtaken(connection, query_id)


async def _close(connection: AsyncConnection, query_id: UUID, tenant_id: UUID, status: str, **values: Any) -> bool:
    """Close the query unless it is closed for good or its conversation has gone on without it."""
    told = {"status": status, "finished_at": datetime.now(UTC), **values}
    about = {"query": query_id, "tenant": tenant_id, "kind": f"query.{status}"}
    return (
        await _closing(*told).row(connection, about | {f"new_{name}": value for name, value in told.items()})
        is not None
    )


@cache
def _closing(*names: str) -> Compiled:
    not_passed_over = col(Query.refusal).is_distinct_from(LAPSED)
    not_closed = [col(Query.status) != closed for closed in ("done", "refused")]
    still_open = (col(Query.id) == bindparam("query"), *not_closed, not_passed_over)
    told: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names}
    return event_log.appending(update(Query).where(*still_open).values(**told).returning(col(Query.id)))
