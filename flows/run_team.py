"""Let a team of personas work on one question, step by step along a plan."""

import asyncio
from typing import Any
from uuid import UUID

from prefect import flow
from prefect.states import Completed

from flows.run_personas import A_DOLLAR, ApproveAbove, quoted, withheld
from kowai.errors import KowaiError
from kowai.quotes import Quote
from kowai.teams.outcome import Ending
from tasks.admit import admit
from tasks.approvals import offered
from tasks.compose import compose
from tasks.consult import consult
from tasks.draw_plan import Course, chart_course
from tasks.quote import show_quote
from tasks.quote_team import quote_team
from tasks.receive import find_tenant
from tasks.record import record_answer, record_failure, record_refusal
from tasks.step import own_run
from tasks.team_steps import StepTimeout, Work, begin_step, close_step
from tasks.teams import (
    AUTO,
    Assignment,
    TeamCancelled,
    conclude_team,
    fail_team,
    held_team,
    open_team,
    read_assignment,
    receive_team,
)
from tasks.turns import turn


class TeamFailed(KowaiError):
    code = "team_failed"


@flow(name="run-team", persist_result=False)
async def run_team(
    question: str,
    plan: str = AUTO,
    tenant: str = "default",
    *,
    dry_run: bool = False,
    approve_above: ApproveAbove = A_DOLLAR,
) -> Any:
    """Answer a question by several personas that build on one another; end as Done, Partial, Refused or Failed.

    Args:
        question: What the team works on.
        plan: YAML with `steps`, each with id, persona, task, needs, tools; 'auto' lets the planner draw it up.
        tenant: Whose documents answer.
        dry_run: Only say how many tokens, dollars and minutes it could take.
        approve_above: Wait for somebody's approval here when it could cost more than this, in US dollars.
    """
    tenant_id = await find_tenant(tenant)
    assignment = Assignment(question, plan)
    quote = (await quote_team(assignment, tenant_id)).above(approve_above)
    if dry_run:
        return quoted(await show_quote(quote))
    own_id = own_run()  # a run that is started again is the same team
    team_id = await receive_team(assignment, tenant_id, own_id, along=offered("run-team", quote))
    return await run_stored_team.fn(team_id, tenant_id)


@flow(name="run-team", persist_result=False)
async def run_stored_team(team_id: UUID, tenant_id: UUID) -> Any:
    """Carry out a stored team: draw up its plan if it has none, then its steps level by level, and conclude."""

    async def quote_again() -> Quote:
        return await quote_team(await read_assignment(team_id, tenant_id), tenant_id)

    if (end := await withheld([team_id], tenant_id, quote_again)) is not None:
        return end
    if not await open_team(team_id, tenant_id):
        return Completed(message="This team had ended before.")
    try:
        async with held_team(team_id, tenant_id):
            ended = await _work(team_id, tenant_id)
    except TeamCancelled as cancelled:
        return Completed(name="Cancelled", message=cancelled.sentence)
    if ended.status == "failed":
        raise TeamFailed(ended.sentence)
    return Completed(name=ended.status.capitalize(), message=ended.sentence)


async def _work(team_id: UUID, tenant_id: UUID) -> Ending:
    try:
        course = await chart_course(team_id, tenant_id)
    except Exception as error:
        ended = await fail_team(team_id, tenant_id, error)
        if ended.status == "refused":
            return ended
        raise
    await _follow(course, tenant_id)
    return await conclude_team(team_id, tenant_id)


async def _follow(course: Course, tenant_id: UUID) -> None:
    """Take the steps of a level at once, each in its tenant's turn, and a level when the one before has ended."""
    deadline = asyncio.get_running_loop().time() + course.seconds

    async def take(step_id: UUID) -> None:
        async with turn(step_id, tenant_id):
            work = await begin_step(step_id, tenant_id)
            if work is not None:
                await _carry_out(work, deadline)
                await close_step(step_id, tenant_id)

    for level in course.levels:
        async with asyncio.TaskGroup() as group:
            for step_id in level:
                group.create_task(take(step_id))


async def _carry_out(work: Work, deadline: float) -> None:
    """Answer a step within its time; what goes wrong is recorded with its question, and the other steps go on."""
    latest = min(deadline, asyncio.get_running_loop().time() + work.step.limits.seconds)
    try:
        async with asyncio.timeout_at(latest):
            await _answer(work)
    except TimeoutError:
        late = StepTimeout("This step took longer than it, or its team, may take.")
        await record_failure(work.step_id, work.tenant_id, late)
    except Exception as error:
        await record_failure(work.step_id, work.tenant_id, error)


async def _answer(work: Work) -> None:
    verdict, question = await admit(work.step_id, work.tenant_id)
    if not verdict.allowed:
        return await record_refusal(work.step_id, work.tenant_id, verdict)
    gathered = await consult(question, work)
    draft = await compose(question, work, gathered)
    if draft.refusal:
        return await record_refusal(work.step_id, work.tenant_id, draft.refusal)
    await record_answer(question, draft, gathered.passages)
