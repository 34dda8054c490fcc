"""Decide whether a stored question goes on; a refusal is a value, because Failed has to mean broken."""

from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

import sqlalchemy
from sqlalchemy import update
from sqlmodel import col, select

from blocks.connections import database
from kowai.errors import NotFound
from kowai.guards import Content
from kowai.policies import ADMITTED, inspect
from kowai.tables.identity import Tenant
from kowai.tables.queries import Query
from kowai.types import Question, Verdict
from tasks.findings import report_findings
from tasks.policy import policy_of
from tasks.step import step

ANSWERED = Verdict(allowed=False, code="already_answered", sentence="This question has been answered already.")
SUSPENDED = Verdict(allowed=False, code="tenant_suspended", sentence="This tenant is suspended.")

UNDERSTOOD = (col(Query.text), col(Query.standalone), col(Query.persona), col(Query.filters), col(Query.streamed))


class Admission(NamedTuple):
    verdict: Verdict
    question: Question


@step
async def admit(query_id: UUID, tenant_id: UUID) -> Admission:
    """Mark the question as running unless it is answered, its tenant suspended or a guard against it.

    Raises NotFound.
    """
    policy = await policy_of(tenant_id)
    suspended = select(col(Tenant.suspended)).where(col(Tenant.id) == tenant_id).scalar_subquery()
    found = (
        sqlalchemy.select(*UNDERSTOOD, col(Query.status), suspended).where(col(Query.id) == query_id).with_for_update()
    )
    running = update(Query).where(col(Query.id) == query_id).values(status="running", started_at=datetime.now(UTC))
    async with (await database()).transaction(tenant_id, durable=False) as connection:
        row = (await connection.execute(found)).one_or_none()
        if row is None:
            raise NotFound(f"There is no question {query_id} in this tenant.")
        text, standalone, persona, filters, streamed, status, is_suspended = row
        about = {"text": text, "standalone": standalone, "persona": persona, "filters": filters, "streamed": streamed}
        question = Question.model_validate(about | {"id": query_id, "tenant_id": tenant_id})
        if status == "done":
            return Admission(ANSWERED, question)
        if is_suspended:
            return Admission(SUSPENDED, question)
        seen = inspect(Content(text, "input", policy.limits), policy)
        if not seen.verdict.allowed:
            return Admission(seen.verdict, question)
        await report_findings(connection, query_id, tenant_id, seen.findings)
        await connection.execute(running)
    return Admission(ADMITTED, question)
