"""Decide whether a stored question goes on; a refusal is a value, because Failed has to mean broken."""

import asyncio
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy
from sqlalchemy import bindparam, exists, func, not_, update
from sqlmodel import col, select

from blocks.compiled import Compiled
from blocks.connections import database
from kowai.errors import NotFound
from kowai.guards import Content
from kowai.policies import ADMITTED, GuardPolicy, inspect
from kowai.standing import SENTENCE as GIVEN_UP
from kowai.standing import AccessEnded
from kowai.tables.identity import ApiKey, Tenant, UserAccount
from kowai.tables.knowledge import EmbeddingSpace
from kowai.tables.queries import Query
from kowai.tables.versions import LiveSetting
from kowai.types import Question, Verdict
from tasks.conversation_turns import LAPSED, SENTENCE, leased, pass_over, turns_ahead
from tasks.exposures import expose, running_experiments
from tasks.findings import report_findings
from tasks.policy import policy_of
from tasks.step import step

ANSWERED = Verdict(allowed=False, code="already_answered", sentence="This question has been answered already.")
SUSPENDED = Verdict(allowed=False, code="tenant_suspended", sentence="This tenant is suspended.")
ENDED = Verdict(allowed=False, code=AccessEnded.code, sentence=GIVEN_UP)
PASSED_OVER = Verdict(allowed=False, code=LAPSED, sentence=SENTENCE)

NAMES = (
    *("text", "standalone", "persona", "filters", "streamed"),
    *("history", "preferences", "conversation_id", "turn"),
)
UNDERSTOOD = [getattr(Query, name) for name in NAMES]
ADMITTING = {"durable": False, "even_suspended": True, "by_key": True}
BEFORE = ("status", "started_at", "leased_until")
PUT_BACK = Compiled(
    update(Query)
    .where(col(Query.id) == bindparam("query"), col(Query.status) == "running")
    .values({name: bindparam(f"old_{name}", type_=getattr(Query, name).type) for name in BEFORE})
)
PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 1.0  # a pause for each turn ahead


class Admission(NamedTuple):
    verdict: Verdict
    question: Question


@step
async def admit(query_id: UUID, tenant_id: UUID) -> Admission:
    """Mark the question as running unless it is answered, its tenant or asker shut out or a guard against it.

    A turn of a conversation is admitted when the turns before it have ended. Raises NotFound.
    """
    policy = await policy_of(tenant_id)
    while True:
        found = await _look(query_id, tenant_id, policy)
        if isinstance(found, Admission):
            return found
        await asyncio.sleep(min(found * PAUSE_SECONDS, LONGEST_PAUSE_SECONDS))


async def _look(query_id: UUID, tenant_id: UUID, policy: GuardPolicy) -> Admission | int:
    """Admit or refuse the question, or return how many turns are ahead of it."""
    row = await _started(query_id, tenant_id)
    stored: dict[str, Any] = {name: getattr(row, name) for name in (*NAMES, "embedder")}
    known: dict[str, Any] = {"id": query_id, "tenant_id": tenant_id, "versions": row.pins or row.live or {}}
    question = Question.model_validate(stored | known)
    if row.status == "done":
        return Admission(ANSWERED, question)
    if row.refusal == LAPSED:
        return Admission(PASSED_OVER, question)
    if row.suspended:
        return Admission(SUSPENDED, question)
    if row.shut_out:
        return Admission(ENDED, question)
    if row.ahead and question.conversation_id and question.turn:
        async with (await database()).transaction(tenant_id, **ADMITTING) as connection:
            await pass_over(connection, tenant_id, question.conversation_id, question.turn)
        return int(row.ahead)
    return await _guarded(row, question, policy)


async def _started(query_id: UUID, tenant_id: UUID) -> Any:
    """Mark the question as running if nothing but a guard can be against it; return it as it was. Raises NotFound."""
    values = {"query": query_id, "tenant": tenant_id, "now": datetime.now(UTC)}
    async with (await database()).transaction(tenant_id, **ADMITTING) as connection:
        found = _statement().later(connection, values)
    row = await found.fetchone()
    if row is None:
        raise NotFound(f"There is no question {query_id} in this tenant.")
    return row


async def _guarded(row: Any, question: Question, policy: GuardPolicy) -> Admission:
    """Tell what guards saw and assign experiments; what a guard refuses has never been running."""
    seen = inspect(Content(question.text, "input", policy.limits), policy)
    exposed = bool(row.experiments) and row.pins is None
    if seen.verdict.allowed and not exposed and not seen.findings:
        return Admission(ADMITTED, question)
    async with (await database()).transaction(question.tenant_id, **ADMITTING) as connection:
        if not seen.verdict.allowed:
            before = {f"old_{name}": getattr(row, name) for name in BEFORE}
            await PUT_BACK.run(connection, {"query": question.id, **before})
            return Admission(seen.verdict, question)
        if exposed:
            question = await expose(connection, question, row.experiments, row.asked_by)
        await report_findings(connection, question.id, question.tenant_id, seen.findings)
    return Admission(ADMITTED, question)


@cache
def _statement() -> Compiled:
    """Return what locks a question, reads with it all that its admission depends on, and starts it if it may be."""
    of_tenant = col(Tenant.id) == bindparam("tenant")
    suspended = select(col(Tenant.suspended)).where(of_tenant).scalar_subquery().label("suspended")
    live = select(func.jsonb_object_agg(col(LiveSetting.slot), col(LiveSetting.version_id))).scalar_subquery()
    experiments = running_experiments().label("experiments")
    space = select(col(EmbeddingSpace.embedder)).where(col(EmbeddingSpace.state) == "current").scalar_subquery()
    settings = (col(Query.pins), live.label("live"), experiments, col(Query.asked_by), space.label("embedder"))
    revoked = exists().where(col(ApiKey.id) == col(Query.asked_by), col(ApiKey.revoked_at).is_not(None))
    disabled = exists().where(col(UserAccount.id) == col(Query.asked_by), col(UserAccount.disabled_at).is_not(None))
    settings += ((revoked | disabled).label("shut_out"),)
    before = [col(Query.id), col(Query.refusal), *(getattr(Query, name) for name in BEFORE)]
    state = (*before, suspended, turns_ahead().label("ahead"), *settings)
    read = sqlalchemy.select(*UNDERSTOOD, *state).where(col(Query.id) == bindparam("query"))
    found = read.with_for_update().cte("found")
    was = found.c
    open_to_it = (was.status != "done", was.refusal.is_distinct_from(LAPSED), was.ahead == 0)
    started = update(Query).where(col(Query.id) == was.id, *open_to_it, not_(was.suspended), not_(was.shut_out))
    running: dict[str, Any] = {"status": "running", "started_at": bindparam("now"), "leased_until": leased()}
    return Compiled(sqlalchemy.select(found).add_cte(started.values(running).cte("started")))
