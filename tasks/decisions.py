"""Decisions on what waits: who lets it begin or declines it, which the tenant keeps and Prefect does not."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple
from uuid import UUID

import httpx
import structlog
from prefect.exceptions import PrefectException
from prefect.flow_runs import aresume_flow_run
from prefect.input import adelete_flow_run_input, keyset_from_paused_state
from prefect.states import Suspended
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col, select

from blocks.connections import database
from kowai.errors import KowaiError, NotFound
from kowai.tables.approvals import Approval
from tasks.step import step
from tasks.teams import tell

log = structlog.get_logger()

UNDECIDED = "Nobody approved it in time."
NOT_APPROVED = "It was not approved."
FORM = "approval"
DECIDED = "This has been decided already, or is only just beginning to wait: look at it again."

# What a route has noted of a decision does not travel through Prefect, which only hears yes or no.
NOTE = text("""
update approval set decided_by = :by, reason = :reason
where flow_run_id = :run and state = 'waiting' and decided_by is null
""")
DECIDE = text("""
update approval set state = cast(:state as text), decided_by = coalesce(decided_by, :by), decided_at = now(),
  reason = case when cast(:state as text) = 'declined' then coalesce(reason, :reason) end
where id = any(:ids) and state = 'waiting' returning reason
""")
# By a day later the night's evaluation that waits has ended before the next one begins.
OVERDUE = text("""
select id, flow_run_id from approval
where state = 'waiting' and waits_since < now() - make_interval(hours => 22)
""")

REFUSE = [
    text(statement)
    for statement in (
        """
update batch_item set state = 'refused', cause = :cause, sentence = :sentence
where batch_id = any(:ids) and state in ('queued', 'running')
""",
        """
update batch set status = 'declined', finished_at = now()
where id = any(:ids) and status in ('queued', 'quoted', 'waiting', 'running')
""",
        "update evaluation set finished_at = now() where id = any(:ids) and finished_at is null",
        """
update promotion set outcome = 'refused', sentence = :sentence, finished_at = now()
where id = any(:ids) and outcome is null
""",
        """
update optimisation set outcome = 'refused', sentence = :sentence, finished_at = now()
where id = any(:ids) and outcome is null
""",
        """
update team_step s set state = 'skipped', cause = :cause, sentence = :sentence from team t
where t.id = s.team_id and t.id = any(:ids) and t.status = 'queued' and s.state = 'queued'
""",
    )
]
REFUSE_TEAMS = text("""
update team set status = 'refused', cause = :cause, sentence = :sentence, finished_at = now()
where id = any(:ids) and status = 'queued' returning id, tenant_id
""")


class Decision(NamedTuple):
    """Say who lets something begin, or does not, and why not."""

    approve: bool
    by: str
    reason: str = ""

    def words(self) -> dict[str, str | None]:
        """Return who decided, and why not where it is declined."""
        return {"by": self.by[:200], "reason": None if self.approve else self.reason.strip() or NOT_APPROVED}


class NotWaiting(KowaiError):
    code, http_status = "not_waiting", 409


@step
async def decide_on(ids: Sequence[UUID], tenant_id: UUID, decision: Decision) -> None:
    """Write down what was decided; what was declined ends refused, with all that belongs to it, before it begins."""
    async with (await database()).transaction(tenant_id) as connection:
        await _decide(connection, ids, decision)


async def _decide(connection: AsyncConnection, ids: Sequence[UUID], decision: Decision) -> None:
    values = {"ids": ids, "state": "approved" if decision.approve else "declined", **decision.words()}
    reasons = (await connection.scalars(DECIDE, values)).all()
    if reasons and not decision.approve:
        await _refuse(connection, ids, "not_approved", reasons[0])


@asynccontextmanager
async def deciding(subject_id: UUID, tenant_id: UUID, decision: Decision) -> AsyncGenerator[UUID]:
    """Note who decides and why not, and give the run in Prefect that has to be told; undone where that fails.

    Raises NotFound and NotWaiting.
    """
    run_id = await _find_waiting(subject_id, tenant_id)
    async with (await database()).transaction(tenant_id) as connection:
        if not (await connection.execute(NOTE, {"run": run_id, **decision.words()})).rowcount:
            raise NotWaiting(DECIDED)
        yield run_id


async def clear_form() -> None:
    """Take out of Prefect what was filled into this run's form: who decided, and why not."""
    key = keyset_from_paused_state(Suspended(pause_key=FORM))["response"]
    try:
        await adelete_flow_run_input(key)
    except (PrefectException, httpx.HTTPError) as error:
        log.warning("form not cleared", error=repr(error)[:200])


async def withdraw(connection: AsyncConnection, ids: Sequence[UUID], cause: str, sentence: str) -> None:
    """End what somebody gave up, which then waits for nobody's approval."""
    await connection.execute(DECIDE, {"ids": ids, "by": None, "reason": sentence, "state": "declined"})
    await _refuse(connection, ids, cause, sentence)


async def _refuse(connection: AsyncConnection, ids: Sequence[UUID], cause: str, sentence: str) -> None:
    """End what has not begun: items and teams are refused with the cause, and so is what waits for a version."""
    values = {"ids": ids, "cause": cause, "sentence": sentence}
    for statement in REFUSE:
        await connection.execute(statement, values)
    for team in (await connection.execute(REFUSE_TEAMS, values)).all():
        await tell(connection, team.id, team.tenant_id, "team.refused", cause=cause)


async def _find_waiting(subject_id: UUID, tenant_id: UUID) -> UUID:
    """Return the run in Prefect that waits for somebody to approve the subject. Raises NotFound and NotWaiting."""
    found = select(col(Approval.state), col(Approval.flow_run_id), col(Approval.waits_since))
    async with (await database()).transaction(tenant_id) as connection:
        row = (await connection.execute(found.where(col(Approval.id) == subject_id))).one_or_none()
    if row is None:
        raise NotFound("Nothing was quoted under this id.")
    if row.state != "waiting":
        raise NotWaiting(f"This does not wait for approval: it is {row.state}.")
    if row.flow_run_id is None or row.waits_since is None:
        raise NotWaiting("This is only just beginning to wait: look at it again.")
    return row.flow_run_id


@step
async def decline_overdue(tenant_id: UUID) -> int:
    """End what nobody has decided on in time, and its run; tell how many."""
    async with (await database()).transaction(tenant_id) as connection:
        overdue = (await connection.execute(OVERDUE)).all()
    for run_id in {row.flow_run_id for row in overdue}:
        with suppress(PrefectException, RuntimeError):  # it was cancelled, or is gone
            await aresume_flow_run(run_id, run_input={"approve": False, "reason": UNDECIDED, "decided_by": "nobody"})
    async with (await database()).transaction(tenant_id) as connection:
        await _decide(connection, [row.id for row in overdue], Decision(approve=False, by="nobody", reason=UNDECIDED))
    return len(overdue)
