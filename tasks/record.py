"""Write down what became of a question, in one transaction each."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID, uuid4

from pydantic import BaseModel, SerializeAsAny, TypeAdapter
from sqlalchemy import bindparam, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from blocks.compiled import Compiled
from blocks.connections import database
from kowai import erasure
from kowai.errors import KowaiError
from kowai.policies import reported
from kowai.tables.queries import Query
from kowai.types import Draft, Finding, Passage, Question, Verdict
from kowai.versions import slots_of
from tasks import event_log
from tasks.answer_sql import STORE
from tasks.conversation_turns import LAPSED
from tasks.deleted import keep_deletions_out, void_overtaken, void_quotes
from tasks.findings import KIND, report_findings
from tasks.paid import embedding_is_paid
from tasks.read_back import wanted_back
from tasks.step import step

AS_DRAFTED = {"text", "confidence", "abstained", "model", "fallback", "persona_version", "cost"}
LISTS: TypeAdapter[Sequence[BaseModel]] = TypeAdapter(Sequence[SerializeAsAny[BaseModel]])
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
    own = slots_of(question.persona)
    used = (*question.calls, *calls, *(draft.prompt.calls if draft.prompt else ()))
    seen = reported(draft.findings)
    values = {
        "id": uuid4(),
        "tenant": question.tenant_id,
        "query": question.id,
        "now": datetime.now(UTC),
        "lapsed": LAPSED,
        "documents": list({passage.document_id for passage in passages}),
        "kinds": [*(KIND for _ in seen), "query.done"],
        "payloads": [*map(json.dumps, seen), "{}"],
        "citations": _listed(draft.citations),
        "sentences": _listed(draft.sentences),
        "passages": _listed(passages),
        "prompt": draft.prompt.model_dump_json() if draft.prompt else "{}",
        "versions": json.dumps({slot: str(id) for slot, id in question.versions.items() if slot in own}),
        "note": note,
        "calls": list(used),
        # A reranker that failed may have been paid all the same.
        "is_paid": bool(used or note or embedding_is_paid()),
        "usage": draft.usage.model_dump_json(),
        **draft.model_dump(include=AS_DRAFTED),
    }
    back = wanted_back()
    async with (await database()).transaction(question.tenant_id, by_key=True) as connection:
        stored = STORE.later(connection, values)
        read = back.statement.later(connection, {"ids": [question.id]}) if back else None
    row: Any = await stored.fetchone()
    if not row.are_there:
        await _refuse_deleted(question)
    elif not row.is_closed:
        async with (await database()).transaction(question.tenant_id) as connection:
            await keep_deletions_out(connection)
            await void_overtaken(connection, question.id)
    elif back and read:
        back.row = await read.fetchone()


def _listed(values: Sequence[BaseModel]) -> str:
    return LISTS.dump_json(values).decode()


async def _refuse_deleted(question: Question) -> None:
    async with (await database()).transaction(question.tenant_id) as connection:
        await void_quotes(connection, question.id)
        refusal = {"refusal": erasure.CAUSE, "sentence": erasure.SENTENCE}
        await _close(connection, question.id, question.tenant_id, "refused", **refusal)


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
