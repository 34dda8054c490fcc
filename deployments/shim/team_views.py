"""What a team looks like to whoever started it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy import text

from blocks.connections import database
from deployments.shim.quoting import ApprovalView
from kowai.errors import NotFound
from kowai.pricing import Dollars
from kowai.teams.outcome import Said, StepState, TeamStatus, joined
from kowai.teams.plan import Plan, TeamLimits
from kowai.types import Citation

LISTED = 100

COLUMNS = """
t.id as team_id, t.question, t.status, t.cause, t.sentence, t.drawn, t.plan, t.limits, t.asked_by, t.flow_run_id,
t.created_at, t.finished_at, (select to_jsonb(a) from approval a where a.id = t.id) as approval
"""
TEAM = text(f"select {COLUMNS} from team t where t.id = :team")  # noqa: S608 -- only a constant is put into the text
TEAMS = text("""
select id as team_id, question, status, drawn, sentence, created_at, finished_at from team
order by created_at desc limit :limit
""")
STEPS = text("""
select s.id as query_id, s.name as step, s.state, s.attempts, coalesce(s.cause, q.refusal) as cause,
  coalesce(s.sentence, q.sentence) as sentence, s.iterations, a.text as answer,
  a.citations, a.abstained, a.confidence, a.model, c.cost, c.unknown
from team_step s left join query q on q.id = s.id left join answer a on a.query_id = s.id cross join lateral (
  select case when count(*) = 0 then 0 else sum(cost) end as cost, count(*) filter (where cost is null) as unknown
  from model_call where query_id = s.id and state in ('settled', 'void')) c
where s.team_id = :team order by s.ordinal
""")
PLANNING = text("""
select case when count(*) = 0 then 0 else sum(cost) end as cost, count(*) filter (where cost is null) as unknown
from model_call where query_id = :team and state in ('settled', 'void')
""")


class StepView(BaseModel):
    """Say where a step stands and what it answered; its id is that of its question, which can be read and replayed."""

    query_id: UUID
    step: str
    persona: str
    task: str
    needs: tuple[str, ...]
    tools: tuple[str, ...]
    state: StepState
    cause: str | None
    sentence: str | None
    attempts: int
    iterations: int
    answer: str | None
    citations: list[Citation]
    abstained: bool | None
    confidence: float | None
    model: str | None
    cost: Dollars | None


class TeamView(BaseModel):
    """Hold a team's answer, the results of the steps that no other needs, and every step; null is unknown."""

    team_id: UUID
    question: str
    status: TeamStatus
    cause: str | None
    sentence: str | None = Field(description="What is missing, if anything is.")
    answer: str | None
    citations: list[Citation]
    drawn: bool = Field(description="Whether the planner drew up the plan.")
    limits: TeamLimits
    steps: list[StepView]
    cost: Dollars | None
    of_unknown_cost: int
    asked_by: UUID | None
    approval: ApprovalView | None
    flow_run_id: UUID | None
    created_at: datetime
    finished_at: datetime | None


class TeamLine(BaseModel):
    """Name a team in a list."""

    team_id: UUID
    question: str
    status: TeamStatus
    drawn: bool
    sentence: str | None
    created_at: datetime
    finished_at: datetime | None


async def read_team(team_id: UUID, tenant_id: UUID) -> TeamView:
    """Return a team of this tenant with what its steps have said so far. Raises NotFound."""
    async with (await database()).transaction(tenant_id) as connection:
        row = (await connection.execute(TEAM, {"team": team_id})).mappings().one_or_none()
        if row is None:
            raise NotFound("There is no such team.")
        rows = (await connection.execute(STEPS, {"team": team_id})).all()
        planning = (await connection.execute(PLANNING, {"team": team_id})).one()
    plan = Plan.model_validate(row["plan"]) if row["plan"] else None
    steps = [_step(each, plan) for each in rows] if plan else []
    results = plan.results() if plan else ()
    said = [
        Said(each.step, each.answer, tuple(each.citations)) for each in steps if each.step in results and each.answer
    ]
    answer, citations = joined(said) if said else (None, ())
    costs = [each.cost for each in (*rows, planning) if each.cost is not None]
    told: dict[str, Any] = {key: value for key, value in row.items() if key != "plan"}
    told |= {"answer": answer, "citations": list(citations), "steps": steps, "cost": sum(costs) if costs else None}
    return TeamView.model_validate(told | {"of_unknown_cost": sum(each.unknown for each in (*rows, planning))})


async def read_teams(tenant_id: UUID, limit: int = LISTED) -> list[TeamLine]:
    """Return the newest teams."""
    async with (await database()).transaction(tenant_id) as connection:
        found = (await connection.execute(TEAMS, {"limit": limit})).mappings()
        return [TeamLine.model_validate(dict(row)) for row in found]


def _step(row: Any, plan: Plan) -> StepView:
    planned = next(step for step in plan.steps if step.id == row.step)
    stored = {name: getattr(row, name) for name in StepView.model_fields if name in row._fields}
    stored["citations"] = row.citations or []
    return StepView(**stored, **planned.model_dump(include={"persona", "task", "needs", "tools"}))
