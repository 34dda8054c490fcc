"""The steps of a team: begun with what they need and their share of the money, stored as questions, and closed."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from prefect.context import FlowRunContext
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from blocks.connections import database
from kowai.errors import KowaiError
from kowai.tables.queries import Query
from kowai.teams.outcome import NEEDS_FAILED, StepState, is_cut_off
from kowai.teams.plan import Plan, PlannedStep
from kowai.types import Citation, Passage, Turn
from tasks import teams_sql
from tasks.receive import Inquiry
from tasks.step import step
from tasks.teams import spent_on, tell

CUT_OFF = "None of the steps that this one needs has a result."
CRASHED = "The process that worked on this step died each time."


class StepTimeout(KowaiError):
    code, http_status = "step_timeout", 504


class Work(NamedTuple):
    """Hold a step while it is worked on: the rest is in its question. `cited` is what the steps before it cite."""

    step_id: UUID
    team_id: UUID
    tenant_id: UUID
    step: PlannedStep
    question: str
    cited: tuple[Passage, ...]
    iterations_of_team: int
    dollars: Decimal | None


@step
async def begin_step(step_id: UUID, tenant_id: UUID) -> Work | None:
    """Take a step and store its question under its own id; None when it has ended or cannot begin.

    A step that a dead process left is begun again, and what it paid for is read again.
    """
    run = FlowRunContext.get()
    async with (await database()).transaction(tenant_id) as connection:
        found = (await connection.execute(teams_sql.OF_STEP, {"step": step_id})).one()
        team = (await connection.execute(teams_sql.TEAM, {"team": found.team_id})).one()
        rows = {row.name: row for row in await connection.execute(teams_sql.STEPS, {"team": found.team_id})}
        plan, own = Plan.model_validate(team.plan), rows[found.name]
        planned = next(each for each in plan.steps if each.id == found.name)
        if own.state not in ("queued", "running"):
            return None
        if ends := await _cannot_begin(connection, own, planned, {name: row.state for name, row in rows.items()}):
            await connection.execute(teams_sql.END, ends | {"step": step_id})
            told = {"step": found.name, "state": ends["state"], "cause": ends["cause"]}
            await tell(connection, found.team_id, tenant_id, "team.step", **told)
            return None
        dollars = own.dollars if own.dollars is not None else await _share(connection, found.team_id, plan, planned)
        await connection.execute(teams_sql.BEGIN, {"step": step_id, "dollars": dollars})
        said = (await connection.execute(teams_sql.SAID, {"team": found.team_id, "names": list(planned.needs)})).all()
        row = Inquiry(planned.text(team.question), planned.persona, asked_by=team.asked_by).row()
        row |= {"id": step_id, "tenant_id": tenant_id, "history": [_turn(each, plan).model_dump() for each in said]}
        row |= {"flow_run_id": run.flow_run.id if run and run.flow_run else None}
        await connection.execute(postgresql.insert(Query).values(**row).on_conflict_do_nothing())
        begun = {"step": found.name, "state": "running", "attempt": own.attempts + 1}
        await tell(connection, found.team_id, tenant_id, "team.step", **begun)
    cited = tuple(passage for row in said for passage in _cited(row))
    most = plan.limits.iterations
    return Work(step_id, found.team_id, tenant_id, planned, team.question, cited, most, dollars)


@step
async def close_step(step_id: UUID, tenant_id: UUID) -> None:
    """End the step as its question ended."""
    async with (await database()).transaction(tenant_id) as connection:
        ended = (await connection.execute(teams_sql.CLOSE, {"step": step_id})).one_or_none()
        if ended:
            told = {"step": ended.name, "state": ended.state, "cause": ended.cause}
            await tell(connection, ended.team_id, tenant_id, "team.step", **told)


async def left_to_spend(work: Work) -> Decimal | None:
    """Return the US dollars that the step may still spend; None where only the tenant's limits count."""
    if work.dollars is None:
        return None
    return max(Decimal(0), work.dollars - await spent_on(work.step_id, work.tenant_id))


async def count_iteration(work: Work, iteration: int) -> bool:
    """Count a step's next iteration, from 1; tell whether its own and its team's limit allow it."""
    if iteration > work.step.limits.iterations:
        return False
    values = {"step": work.step_id, "iteration": iteration, "most": work.iterations_of_team}
    async with (await database()).transaction(work.tenant_id) as connection:
        return (await connection.execute(teams_sql.COUNT, values)).rowcount > 0


async def _cannot_begin(
    connection: AsyncConnection, own: Any, planned: PlannedStep, states: Mapping[str, StepState]
) -> dict[str, str] | None:
    """Return how a step ends that has nothing to go by, or has killed its process too often."""
    if is_cut_off(planned.needs, states):
        return {"state": "skipped", "cause": NEEDS_FAILED, "sentence": CUT_OFF}
    if own.attempts < teams_sql.MOST_ATTEMPTS:
        return None
    await connection.execute(teams_sql.FAIL_QUERY, {"step": own.id, "sentence": CRASHED})
    return {"state": "failed", "cause": "crashed", "sentence": CRASHED}


async def _share(connection: AsyncConnection, team_id: UUID, plan: Plan, planned: PlannedStep) -> Decimal | None:
    """Return an even share of what the team has left, so that steps that run at once cannot overspend together."""
    own = planned.limits.dollars
    if plan.limits.dollars is None:
        return own
    spent = await connection.scalar(teams_sql.SPENT_ENDED, {"team": team_id}) or Decimal(0)
    rows = (await connection.execute(teams_sql.STEPS, {"team": team_id})).all()
    held = sum((row.dollars or Decimal(0) for row in rows if row.state == "running"), Decimal(0))
    waiting = sum(row.state == "queued" for row in rows)
    share = max(Decimal(0), plan.limits.dollars - spent - held) / max(1, waiting)
    return share if own is None else min(own, share)


def _turn(row: Any, plan: Plan) -> Turn:
    """Tell a step what another has found, or that it has found nothing."""
    persona = next(each.persona for each in plan.steps if each.id == row.name)
    return Turn(role=f"{row.name} ({persona})", text=row.text or f"No result: {row.sentence or 'unknown cause.'}")


def _cited(row: Any) -> list[Passage]:
    """Return the passages that a step's citations lie in."""
    stored: tuple[list[Any], list[Any]] = (row.passages or [], row.citations or [])
    passages = [Passage.model_validate(each) for each in stored[0]]
    citations = [Citation.model_validate(each) for each in stored[1]]
    return [passage for passage in passages if any(_lies_in(citation, passage) for citation in citations)]


def _lies_in(citation: Citation, passage: Passage) -> bool:
    if (citation.document_id, citation.version) != (passage.document_id, passage.version):
        return False
    return passage.start <= citation.start and citation.end <= passage.end
