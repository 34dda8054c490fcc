"""Teams: accept a question with or without a plan, let one run at a time work on it, and say how it ended."""

import asyncio
import itertools
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from prefect.artifacts import acreate_table_artifact
from prefect.context import FlowRunContext
from sqlalchemy import text
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from blocks.connections import database
from kowai.errors import BudgetExhausted, KowaiError, NotFound, Unavailable
from kowai.personas import personas
from kowai.questions import checked_question
from kowai.tables.teams import Team
from kowai.teams.outcome import Ending, Standing, cancelled, ending
from kowai.teams.plan import Known, Plan, TeamLimits, check_texts, checked_plan, parse_plan
from tasks import event_log, teams_sql
from tasks.outbox import Along
from tasks.step import step
from tasks.tools import tools

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
WATCH_SECONDS = 1.0
CANCELLED = "cancelled"
AUTO = "auto"  # as a plan: let the planner draw it up
IN_ORDER = text("select pg_advisory_xact_lock(hashtextextended('facts ' || :team, 0))")
INTERNAL = "Something went wrong on our side; the team is stored."


class Assignment(NamedTuple):
    """Hold what a team is asked. `plan` is YAML, what YAML says, or 'auto'; `limits` are for a plan to be drawn up."""

    question: str
    plan: Any
    limits: TeamLimits = TeamLimits()
    asked_by: UUID | None = None


def known_names() -> Known:
    return Known(personas=tuple(personas()), tools=tuple(tools()))


def planned(assignment: Assignment) -> Plan | None:
    """Return the checked plan, None where the planner is to draw it up. Raises BadPlan and InvalidInput."""
    question, given = checked_question(assignment.question), assignment.plan
    if given is None or (isinstance(given, str) and given.strip() in ("", AUTO)):
        return None
    plan = parse_plan(given, known_names()) if isinstance(given, str) else checked_plan(given, known_names())
    check_texts(plan, question)
    return plan


@step
async def receive_team(
    assignment: Assignment, tenant_id: UUID, team_id: UUID | None = None, *, along: Along | None = None
) -> UUID:
    """Store a team with its steps and return its id; the same `team_id` is stored once. Raises BadPlan."""
    plan, team_id = planned(assignment), team_id or uuid4()
    row: dict[str, Any] = {"id": team_id, "tenant_id": tenant_id, "asked_by": assignment.asked_by}
    row |= {"question": checked_question(assignment.question), "drawn": plan is None}
    row |= {"plan": plan.model_dump(mode="json") if plan else None}
    row |= {"limits": (plan.limits if plan else assignment.limits).model_dump(mode="json")}
    async with (await database()).transaction(tenant_id) as connection:
        await connection.execute(postgresql.insert(Team).values(**row).on_conflict_do_nothing())
        await connection.execute(teams_sql.ENTER_STEPS, {"team": team_id})
        if along is not None:
            await along(connection, team_id)
    return team_id


@step
async def read_assignment(team_id: UUID, tenant_id: UUID) -> Assignment:
    """Return what a stored team is asked. Raises NotFound."""
    async with (await database()).transaction(tenant_id) as connection:
        row = (await connection.execute(teams_sql.TEAM, {"team": team_id})).one_or_none()
    if row is None:
        raise NotFound("There is no such team.")
    return Assignment(row.question, row.plan, TeamLimits.model_validate(row.limits), row.asked_by)


@step
async def open_team(team_id: UUID, tenant_id: UUID) -> bool:
    """Wait until no other run works on the team, and take it; tell whether anything is left to do. Raises NotFound."""
    run, pause = FlowRunContext.get(), FIRST_PAUSE
    values = {"team": team_id, "run": run.flow_run.id if run and run.flow_run else None}
    while True:
        async with (await database()).transaction(tenant_id) as connection:
            if await connection.scalar(teams_sql.TAKE, values):
                await tell(connection, team_id, tenant_id, "team.started")
                return True
            found = (await connection.execute(teams_sql.STATE, {"team": team_id})).one_or_none()
        if found is None:
            raise NotFound("There is no such team.")
        if found.ended:
            return False
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


class TeamCancelled(KowaiError):
    code = CANCELLED


@asynccontextmanager
async def held_team(team_id: UUID, tenant_id: UUID) -> AsyncGenerator[None]:
    """Keep other runs from the team for as long as the block runs. Raises TeamCancelled soon after it was."""

    lapse = asyncio.timeout(None)

    async def watch() -> None:
        beats = itertools.cycle(range(int(teams_sql.LEASE_SECONDS / 3 / WATCH_SECONDS)))
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            with suppress(Unavailable):
                async with (await database()).transaction(tenant_id) as connection:
                    if not next(beats):
                        await connection.execute(teams_sql.RENEW, {"team": team_id})
                    found = (await connection.execute(teams_sql.STATE, {"team": team_id})).one_or_none()
                if found and found.cause == CANCELLED:
                    lapse.reschedule(0)  # the block is left as if its time were up

    try:
        async with lapse:
            watching = asyncio.create_task(watch())
            try:
                yield
            finally:
                watching.cancel()
    except TimeoutError as error:
        if not lapse.expired():
            raise
        raise TeamCancelled("This team was cancelled.") from error


@step
async def cancel_team(team_id: UUID, tenant_id: UUID, by: str) -> None:
    """End a team and its steps at once, with what it has; one that has ended stays so. Raises NotFound.

    A run that works on it notices within seconds, and spends nothing more.
    """
    async with (await database()).transaction(tenant_id) as connection:
        team = (await connection.execute(teams_sql.TEAM, {"team": team_id})).one_or_none()
        if team is None:
            raise NotFound("There is no such team.")
        rows = (await connection.execute(teams_sql.STEPS, {"team": team_id})).all()
        plan = Plan.model_validate(team.plan) if team.plan else None
        ended = cancelled(plan, {row.name: Standing(row.state, row.cause) for row in rows}, by)
        told = {"team": team_id, "sentence": ended.sentence}
        if await connection.scalar(teams_sql.CANCEL, told) is None:
            return
        await connection.execute(teams_sql.CANCEL_QUERIES, told)
        await connection.execute(teams_sql.CANCEL_STEPS, told)
        await tell(connection, team_id, tenant_id, f"team.{ended.status}", cause=CANCELLED)


@step
async def conclude_team(team_id: UUID, tenant_id: UUID) -> Ending:
    """Write down how the team ended, once, and leave a table of its steps in Prefect, without any text."""
    async with (await database()).transaction(tenant_id) as connection:
        team = (await connection.execute(teams_sql.TEAM, {"team": team_id})).one()
        rows = (await connection.execute(teams_sql.STEPS, {"team": team_id})).all()
        standings = {row.name: Standing(row.state, row.cause) for row in rows}
        ended = ending(Plan.model_validate(team.plan), standings)
        await _close(connection, team_id, tenant_id, ended)
    if FlowRunContext.get() is not None:
        table = [{"step": name, "state": each.state, "cause": each.cause or ""} for name, each in standings.items()]
        await acreate_table_artifact(key="team", table=table, description=f"The answer: GET /api/v1/teams/{team_id}")
    return ended


@step
async def fail_team(team_id: UUID, tenant_id: UUID, error: Exception) -> Ending:
    """Write down that the team could not begin: nobody could draw up its plan, or nothing may be spent on that."""
    known = error if isinstance(error, KowaiError) else KowaiError(INTERNAL)
    ended = Ending("refused" if isinstance(known, BudgetExhausted) else "failed", known.sentence)
    async with (await database()).transaction(tenant_id) as connection:
        await _close(connection, team_id, tenant_id, ended, known.code)
    return ended


async def spent_on(subject: UUID, tenant_id: UUID) -> Decimal:
    """Return the US dollars that a step, or a team's planner, has spent or reserved."""
    async with (await database()).transaction(tenant_id) as connection:
        return await connection.scalar(teams_sql.SPENT, {"step": subject}) or Decimal(0)


async def _close(
    connection: AsyncConnection, team_id: UUID, tenant_id: UUID, ended: Ending, cause: str | None = None
) -> None:
    values = {"team": team_id, "status": ended.status, "sentence": ended.sentence, "cause": cause}
    if await connection.scalar(teams_sql.CONCLUDE, values):
        await tell(connection, team_id, tenant_id, f"team.{ended.status}")


async def tell(connection: AsyncConnection, team_id: UUID, tenant_id: UUID, kind: str, **payload: Any) -> None:
    """Append one fact to the team's history in the transaction of what it reports: names and figures, no text.

    Steps run at once, and a reader goes on behind the last fact it saw: they are numbered as they are committed.
    """
    await connection.execute(IN_ORDER, {"team": str(team_id)})
    await event_log.append(connection, team_id, tenant_id, kind, payload)
    event_log.notify(connection, team_id)
