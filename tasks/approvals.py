"""Approvals: a quote is kept with what it is for, which begins once somebody agrees to what it may cost."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple
from uuid import UUID

from prefect.exceptions import PrefectException
from prefect.flow_runs import aresume_flow_run
from sqlalchemy import text
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col, select

from blocks.connections import database, language_model
from kowai.errors import KowaiError, NotFound
from kowai.extraction.answer import MODEL as EXTRACTIVE
from kowai.quotes import Quote
from kowai.tables.approvals import Approval
from tasks.outbox import Along
from tasks.step import own_run, step
from tasks.teams import tell

UNASKED = "within the threshold"
UNDECIDED = "Nobody approved it in time."

WAIT = text("""
update approval set flow_run_id = :run, waits_since = coalesce(waits_since, now())
where id = any(:ids) and state = 'waiting'
""")
DECIDE = text("""
update approval set state = :state, decided_by = :by, reason = :reason, decided_at = now()
where id = any(:ids) and state = 'waiting'
""")
RENEW = text("""
update approval set quote = cast(:quote as jsonb), state = :state, decided_by = :decided_by
where id = any(:ids) and state = 'approved' and decided_by = :unasked
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


class Terms(NamedTuple):
    """Hold what was quoted, whether it may begin (quoted, waiting, approved or declined) and, declined, why not.

    They are `outdated` where nobody was asked because there was no model to pay, and now there is one.
    """

    quote: Quote
    state: str
    reason: str | None
    outdated: bool = False


class Decision(NamedTuple):
    """Say who lets something begin, or does not, and why not."""

    approve: bool
    by: str
    reason: str = ""


class NotWaiting(KowaiError):
    code, http_status = "not_waiting", 409


def offered(workflow: str, quote: Quote, *, dry_run: bool = False) -> Along:
    """Return what keeps the quote with its subject, in the transaction that stores it; what is kept stays."""
    row: dict[str, Any] = {"workflow": workflow, "quote": quote.model_dump(mode="json"), "flow_run_id": own_run()}
    row |= {"state": "quoted", "decided_by": None} if dry_run else _decided(quote)

    async def store(connection: AsyncConnection, subject_id: UUID) -> None:
        tenant_id = text("(select current_tenant())")
        entered = postgresql.insert(Approval).values(id=subject_id, tenant_id=tenant_id, **row)
        await connection.execute(entered.on_conflict_do_nothing())

    return store


def _decided(quote: Quote) -> dict[str, Any]:
    """Return the state of what somebody has to approve, or nobody."""
    if quote.needs_approval:
        return {"state": "waiting", "decided_by": None}
    return {"state": "approved", "decided_by": UNASKED}


@step
async def offer(ids: Sequence[UUID], along: Along, tenant_id: UUID) -> None:
    """Keep one quote for several subjects together."""
    async with (await database()).transaction(tenant_id) as connection:
        for subject_id in ids:
            await along(connection, subject_id)


@step
async def offered_by_run(tenant_id: UUID) -> list[UUID]:
    """Return what this run has offered before it was started again."""
    if (run_id := own_run()) is None:
        return []
    found = select(col(Approval.id)).where(col(Approval.flow_run_id) == run_id).order_by(col(Approval.id))
    async with (await database()).transaction(tenant_id) as connection:
        return list(await connection.scalars(found))


@step
async def read_terms(subject_id: UUID, tenant_id: UUID) -> Terms | None:
    """Return the terms of one subject; None where nothing was quoted."""
    columns = (col(Approval.quote), col(Approval.state), col(Approval.reason), col(Approval.decided_by))
    async with (await database()).transaction(tenant_id) as connection:
        row = (await connection.execute(select(*columns).where(col(Approval.id) == subject_id))).one_or_none()
    if row is None:
        return None
    quote = Quote.model_validate(row.quote)
    held = quote.approve_above is not None and quote.model == EXTRACTIVE and row.decided_by == UNASKED
    outdated = held and bool((await language_model()).targets)
    return Terms(quote, row.state, row.reason, outdated)


@step
async def renew_terms(ids: Sequence[UUID], quote: Quote, tenant_id: UUID) -> None:
    """Put a quote in place of one that nobody was asked about."""
    values: dict[str, Any] = {"ids": ids, "quote": quote.model_dump_json(), "unasked": UNASKED}
    async with (await database()).transaction(tenant_id) as connection:
        await connection.execute(RENEW, values | _decided(quote))


@step
async def await_approval(ids: Sequence[UUID], tenant_id: UUID) -> None:
    """Note which run waits for somebody's approval."""
    async with (await database()).transaction(tenant_id) as connection:
        await connection.execute(WAIT, {"ids": ids, "run": own_run()})


@step
async def decide_on(ids: Sequence[UUID], tenant_id: UUID, decision: Decision) -> None:
    """Write down what was decided; what was declined ends refused, with all that belongs to it, before it begins."""
    async with (await database()).transaction(tenant_id) as connection:
        await _decide(connection, ids, decision)


async def _decide(connection: AsyncConnection, ids: Sequence[UUID], decision: Decision) -> None:
    said = decision.reason.strip() or "It was not approved."
    values: dict[str, Any] = {"ids": ids, "by": decision.by[:200], "reason": None if decision.approve else said}
    values["state"] = "approved" if decision.approve else "declined"
    decided = await connection.execute(DECIDE, values)
    if decided.rowcount and not decision.approve:
        await _refuse(connection, ids, "not_approved", said)


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


async def list_approvals(
    tenant_id: UUID, *, state: str | None = None, subject_id: UUID | None = None, limit: int = 1
) -> list[Any]:
    """Return the newest of a tenant's approvals, if need be those of a state or that of one subject."""
    asked = {col(Approval.state): state, col(Approval.id): subject_id}
    wanted = [column == value for column, value in asked.items() if value is not None]
    newest = select(Approval).where(*wanted).order_by(col(Approval.created_at).desc()).limit(limit)
    async with (await database()).transaction(tenant_id) as connection:
        return list((await connection.execute(newest)).all())


async def find_waiting(subject_id: UUID, tenant_id: UUID) -> UUID:
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
