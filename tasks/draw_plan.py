"""The planner: a model that draws up a team's plan, which is checked as anybody's would be."""

import json
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from blocks.connections import database, language_model
from blocks.language_model import LanguageModel
from kowai.errors import Misconfigured, ModelUnreadable
from kowai.personas import personas
from kowai.signatures import DrawUpPlan
from kowai.teams.plan import BadPlan, Plan, TeamLimits, check_texts, checked_plan
from tasks import metered, teams_sql
from tasks.consult import described
from tasks.step import step
from tasks.teams import known_names, spent_on, tell
from tasks.tools import tools

MOST_DRAFTS, LONGEST_MISTAKE, ZERO = 3, 4_000, Decimal(0)


class PlannerMissing(Misconfigured):
    """Say that nobody can draw up a plan."""

    code, http_status = "planner_missing", 409


class Course(NamedTuple):
    """Hold the ids of a team's steps level by level, and the seconds all of them have together."""

    levels: tuple[tuple[UUID, ...], ...]
    seconds: float


@step
async def chart_course(team_id: UUID, tenant_id: UUID) -> Course:
    """Return the order of the steps; a team without a plan gets the planner's. Raises BadPlan and PlannerMissing."""
    async with (await database()).transaction(tenant_id) as connection:
        team = (await connection.execute(teams_sql.TEAM, {"team": team_id})).one()
    if team.plan is None:
        plan = await _drawn(team_id, tenant_id, team.question, TeamLimits.model_validate(team.limits))
        async with (await database()).transaction(tenant_id) as connection:
            values = {"team": team_id, "plan": plan.model_dump_json()}
            if (await connection.execute(teams_sql.DRAWN, values)).rowcount:
                await connection.execute(teams_sql.ENTER_STEPS, {"team": team_id})
                await tell(connection, team_id, tenant_id, "team.planned", steps=[each.id for each in plan.steps])
    else:
        plan = Plan.model_validate(team.plan)
    async with (await database()).transaction(tenant_id) as connection:
        rows = await connection.execute(teams_sql.STEPS, {"team": team_id})
        ids = {row.name: row.id for row in rows}
    levels = tuple(tuple(ids[name] for name in level) for level in plan.levels())
    return Course(levels, plan.limits.seconds)


def check_planner(model: LanguageModel) -> None:
    """Let pass a block with a model that may draw up a plan. Raises PlannerMissing."""
    if not model.targets:
        raise PlannerMissing("No language model is configured that could draw up a plan: send one with the question.")


def told_to_planner(question: str) -> dict[str, Any]:
    voices = "\n".join(f"{name}: {persona.summary}" for name, persona in personas().items())
    return {"question": question, "personas": voices, "tools": described(list(tools())), "mistake": ""}


async def _drawn(team_id: UUID, tenant_id: UUID, question: str, limits: TeamLimits) -> Plan:
    """Ask for a plan until one is right, each time with what was wrong with the last. Raises BadPlan."""
    check_planner(await language_model())
    inputs = told_to_planner(question)
    bad = BadPlan("The planner drew up no plan.")
    for draft in range(MOST_DRAFTS):
        steps: Any = []
        most = None if limits.dollars is None else max(ZERO, limits.dollars - await spent_on(team_id, tenant_id))
        asking = metered.ask(DrawUpPlan, inputs, tenant_id, query_id=team_id, sample=draft, most=most)
        try:
            steps = (await asking).fields["steps"]
            plan = checked_plan({"steps": steps, "limits": limits.model_dump()}, known_names(), "The planner's plan")
            check_texts(plan, question)
            return plan
        except BadPlan as error:
            bad = error
            inputs["mistake"] = f"{json.dumps(steps)[:LONGEST_MISTAKE]} was refused: {error.sentence[:LONGEST_MISTAKE]}"
        except ModelUnreadable as error:
            bad = BadPlan("The planner's plan did not have the asked-for form.", operator=error.operator)
            inputs["mistake"] = bad.sentence
    raise bad
