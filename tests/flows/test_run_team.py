"""A team works along its plan: offline by extraction, with a model by tools; what fails is said and the rest stays."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import text

from blocks.database import Database
from deployments.shim.team_views import TeamView, read_team
from flows.run_team import TeamFailed, run_stored_team
from kowai.errors import NotFound, Unavailable
from kowai.settings import settings
from kowai.teams.plan import BadPlan, TeamLimits
from kowai.tenant_tables import tenant_tables
from tasks import toolbox
from tasks.draw_plan import PlannerMissing
from tasks.event_log import read_facts
from tasks.forget import forget
from tasks.step import traced
from tasks.teams import Assignment, cancel_team, open_team, receive_team, tell
from tasks.tools import Tool, tools
from tasks.users import add_user, change_user
from tests.flows.conftest import learn_tea, rows
from tests.model_server import Act, ModelServer

QUESTION = "How long is green tea steeped?"
FOUND = "[[ ## found ## ]]\nTrue\n\n[[ ## answer ## ]]\n{}\n\n[[ ## completed ## ]]"
GREEN = FOUND.format("Green tea is steeped for three minutes at 80 degrees [1].")
TWO = {
    "steps": [
        {"id": "green", "persona": "analyst", "task": "How long is green tea steeped?"},
        {"id": "black", "persona": "technical", "task": "How long does black tea take?"},
        {"id": "both", "persona": "assistant", "needs": ["green", "black"]},
    ]
}


@pytest.fixture
async def tea(store: Database, tenant: UUID, tmp_path: Path) -> UUID:
    toolbox._circuits.clear()
    await learn_tea(tenant, tmp_path / "documents")
    return tenant


async def run(plan: Any, tenant: UUID, question: str = QUESTION, **settings: Any) -> TeamView:
    team_id = await receive_team(Assignment(question, plan, **settings), tenant)
    return await carry_out(team_id, tenant)


async def test_a_team_pays_nobody_to_draw_up_the_plan_of_a_user_who_was_shut_out(
    tea: UUID, use: Callable[..., None], model_server: ModelServer
) -> None:
    use(model_server.target())
    user, _ = await add_user("ada@example.org", "Ada", "analyst", tea)
    await change_user(user.id, tea, {"disabled": True})
    view = await run("auto", tea, asked_by=user.id)
    assert (view.status, view.cause) == ("refused", "access_ended")
    assert model_server.asked == []


async def carry_out(team_id: UUID, tenant: UUID) -> TeamView:
    with traced():
        await run_stored_team.fn(team_id, tenant)
    return await read_team(team_id, tenant)


def choosing(tool: str, **arguments: Any) -> Act:
    said = f"[[ ## thought ## ]]\nHm.\n\n[[ ## tool ## ]]\n{tool}\n\n[[ ## arguments ## ]]\n{json.dumps(arguments)}"
    return Act(content=f"{said}\n\n[[ ## completed ## ]]")


def one_step(*allowed: str, **more: Any) -> dict[str, Any]:
    return {"steps": [{"id": "sum", "persona": "analyst", "tools": list(allowed)} | more]}


async def test_without_a_model_every_step_answers_by_extraction_with_citations(tea: UUID) -> None:
    team = await run(TWO, tea)
    assert (team.status, team.cost, [step.state for step in team.steps]) == ("done", 0, ["done"] * 3)
    answers = {step.step: step for step in team.steps}
    assert "three minutes" in (answers["green"].answer or "")
    assert "five minutes" in (answers["black"].answer or "")
    assert all(step.citations[0].external_id.endswith("tea.md") for step in team.steps)
    assert (team.answer, team.citations) == (answers["both"].answer, answers["both"].citations)


async def test_carrying_out_again_changes_nothing(tea: UUID, database_url: str) -> None:
    team = await run(TWO, tea)
    before = rows(database_url, "select count(*) from event")
    assert await carry_out(team.team_id, tea) == team
    assert rows(database_url, "select count(*) from event") == before


async def test_a_model_uses_tools_and_their_results_count(
    tea: UUID, use: Callable[..., None], model_server: ModelServer
) -> None:
    use(model_server.target(price="1"))
    final = FOUND.format("Green tea is steeped for three minutes at 80 degrees [1]. By the calculator, 4 cups take 12.")
    model_server.script = [
        choosing("search", query="green tea"),
        choosing("calculator", expression="3 * 4"),
        choosing("finish"),
        Act(content=final),
    ]
    team = await run(one_step("search", "calculator"), tea)
    (step,) = team.steps
    assert (team.status, step.iterations, len(step.citations)) == ("done", 3, 1)
    assert "12. [unsupported]" in (step.answer or "")
    assert team.cost is not None
    assert team.cost > 0
    assert "3 * 4 = 12" in str(model_server.asked[2]["messages"])
    assert "3 * 4 = 12" in str(model_server.asked[3]["messages"])
    facts = await read_facts(team.team_id, tea)
    used = [(fact.payload["tool"], fact.payload["outcome"]) for fact in facts if fact.kind == "team.tool"]
    assert used == [("search", "done"), ("calculator", "done")]
    assert [facts[0].kind, facts[-1].kind] == ["team.started", "team.done"]
    assert "3 * 4" not in str(facts)  # the text is told about the step, where erasure finds it
    assert any("3 * 4 = 12" in str(fact.payload) for fact in await read_facts(step.query_id, tea))


async def test_a_result_that_only_a_tool_supports_is_kept_and_marked(
    tea: UUID, use: Callable[..., None], model_server: ModelServer
) -> None:
    use(model_server.target())
    final = Act(content=FOUND.format("The calculator says 12."))
    model_server.script = [choosing("calculator", expression="3 * 4"), choosing("finish"), final]
    team = await run(one_step("calculator"), tea, "What is three times four?")
    (step,) = team.steps
    assert (step.answer, step.abstained, step.confidence) == ("The calculator says 12. [unsupported]", False, None)


async def test_only_allowed_tools_work_and_mistakes_are_observations(
    tea: UUID, use: Callable[..., None], model_server: ModelServer
) -> None:
    use(model_server.target())
    model_server.script = [
        choosing("search", query="tea"),
        choosing("calculator", expression="__import__('os')"),
        choosing("calculator"),
        choosing("graph", document="missing.md"),
        choosing("finish"),
        Act(content=GREEN),
    ]
    team = await run(one_step("calculator", "graph"), tea)
    facts = await read_facts(team.team_id, tea)
    outcomes = [fact.payload["outcome"] for fact in facts if fact.kind == "team.tool"]
    assert (team.status, outcomes) == ("done", ["unknown", "bad_arguments", "bad_arguments", "bad_arguments"])


async def test_another_persona_can_be_asked(tea: UUID, use: Callable[..., None], model_server: ModelServer) -> None:
    use(model_server.target())
    asked = choosing("persona", persona="technical", question="How long is green tea steeped?")
    model_server.script = [asked, Act(content=GREEN), choosing("finish"), Act(content=GREEN)]
    team = await run(one_step("persona"), tea)
    assert team.status == "done"
    assert "technical says: Green tea is steeped for three minutes" in str(model_server.asked[3]["messages"])


@pytest.mark.parametrize(
    ("limits", "iterations"), [({"limits": {"iterations": 2}}, 2), ({}, 10), ({"team": {"iterations": 3}}, 3)]
)
async def test_a_model_that_never_finishes_is_stopped_at_the_limit(
    tea: UUID, use: Callable[..., None], model_server: ModelServer, limits: dict[str, Any], iterations: int
) -> None:
    use(model_server.target())
    model_server.script = [choosing("calculator", expression=f"1 + {n}") for n in range(iterations)]
    model_server.default = Act(content=GREEN)
    plan = one_step("calculator", **{k: v for k, v in limits.items() if k == "limits"})
    team = await run(plan | {"limits": limits.get("team", {})}, tea)
    assert (team.status, team.steps[0].iterations) == ("done", iterations)
    assert len(model_server.asked) == iterations + 1


async def test_a_tool_that_keeps_failing_rests(
    tea: UUID, use: Callable[..., None], model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> Any:
        raise Unavailable("The database is away.")

    monkeypatch.setitem(tools(), "search", Tool("Broken.", {"query": "any"}, broken))
    use(model_server.target())
    model_server.script = [*(choosing("search", query=f"tea {n}") for n in range(3)), choosing("finish")]
    model_server.default = Act(content=GREEN)
    team = await run(one_step("search"), tea)
    facts = await read_facts(team.team_id, tea)
    outcomes = [fact.payload["outcome"] for fact in facts if fact.kind == "team.tool"]
    assert (team.status, outcomes) == ("done", ["failed", "failed", "resting"])


async def test_a_failed_branch_leaves_a_partial_answer_that_says_so(
    tea: UUID, use: Callable[..., None], model_server: ModelServer
) -> None:
    use(model_server.target(price="1"))
    model_server.default = Act(content=GREEN)
    plan = {
        "steps": [
            {"id": "poor", "persona": "analyst", "limits": {"dollars": 0}},
            {"id": "after", "persona": "analyst", "needs": ["poor"]},
            {"id": "good", "persona": "technical"},
            {"id": "end", "persona": "assistant", "needs": ["after", "good"]},
        ]
    }
    team = await run(plan, tea)
    causes = {step.step: (step.state, step.cause) for step in team.steps}
    assert causes["poor"] == ("refused", "budget_exhausted")
    assert causes["after"] == ("skipped", "needs_failed")
    assert (team.status, team.sentence) == (
        "partial",
        "A partial answer: there is no result of poor (budget_exhausted), after (needs_failed).",
    )
    assert "three minutes" in (team.answer or "")
    told = str(model_server.asked[-1]["messages"])
    assert "No result: None of the steps that this one needs has a result." in told


async def test_a_team_without_any_result_has_failed(
    tea: UUID, use: Callable[..., None], model_server: ModelServer
) -> None:
    use(model_server.target())
    model_server.default = Act(status=400, message="broken")
    team_id = await receive_team(Assignment(QUESTION, TWO), tea)
    with pytest.raises(TeamFailed, match="No answer"):
        await carry_out(team_id, tea)
    team = await read_team(team_id, tea)
    assert (team.status, team.answer) == ("failed", None)
    assert {step.step: step.cause for step in team.steps} == {
        "green": "model_refused",
        "black": "model_refused",
        "both": "needs_failed",
    }


async def test_a_step_that_takes_too_long_is_given_up(
    tea: UUID, use: Callable[..., None], model_server: ModelServer
) -> None:
    use(model_server.target())
    model_server.default = Act(content=GREEN, delay=30)
    team_id = await receive_team(Assignment(QUESTION, one_step() | {"limits": {"seconds": 3}}), tea)
    with pytest.raises(TeamFailed, match="step_timeout"):
        await carry_out(team_id, tea)


async def test_steps_that_run_at_once_never_overspend_the_team_together(
    tea: UUID, database_url: str, use: Callable[..., None], model_server: ModelServer
) -> None:
    use(model_server.target(price="1000", max_output_tokens=50))
    model_server.default = Act(content=GREEN)
    await run(one_step() | {"limits": {"dollars": None}}, tea)
    (call,) = rows(database_url, "select reserved from model_call")
    used = {"prompt_tokens": int(call["reserved"] * 1000) - 50, "completion_tokens": 50}
    model_server.default = Act(content=GREEN, usage=used, delay=0.05)
    model_server.asked.clear()
    limit = call["reserved"] * 7 / 2
    steps = [{"id": f"s{n}", "persona": "analyst", "task": f"{QUESTION} Cup {n}."} for n in range(6)]
    team = await run({"steps": steps, "limits": {"dollars": str(limit)}}, tea)
    ids = ", ".join(f"'{step.query_id}'" for step in team.steps)
    (spent,) = rows(
        database_url, f"select coalesce(sum(charged), 0) as dollars from model_call where query_id in ({ids})"
    )
    assert spent["dollars"] <= limit
    assert len(model_server.asked) <= 3
    assert {step.cause for step in team.steps} <= {None, "budget_exhausted"}
    assert sum(step.cause is None for step in team.steps) == len(model_server.asked)
    richer = await run({"steps": steps, "limits": {"dollars": str(call["reserved"] * 12)}}, tea)
    assert richer.status == "done"


async def test_the_planner_draws_up_the_plan_and_mends_what_is_refused(
    tea: UUID, use: Callable[..., None], model_server: ModelServer
) -> None:
    def drawn(*steps: dict[str, Any]) -> Act:
        return Act(content=f"[[ ## steps ## ]]\n{json.dumps(steps)}\n\n[[ ## completed ## ]]")

    use(model_server.target())
    green = {"id": "green", "persona": "analyst", "task": "Green tea", "needs": [], "tools": []}
    circle = drawn(green | {"needs": ["end"]}, {"id": "end", "persona": "assistant", "task": "x", "needs": ["green"]})
    good = drawn(green, {"id": "end", "persona": "assistant", "task": "Sum up.", "needs": ["green"], "tools": []})
    model_server.script = [circle, Act(content="no plan at all"), good]
    model_server.default = Act(content=GREEN)
    team = await run("auto", tea)
    assert (team.status, team.drawn, [step.step for step in team.steps]) == ("done", True, ["green", "end"])
    assert "green -> end -> green" in str(model_server.asked[1]["messages"])
    assert len(model_server.asked) == 5


async def test_a_planner_that_only_draws_circles_fails_with_what_is_wrong(
    tea: UUID, use: Callable[..., None], model_server: ModelServer
) -> None:
    use(model_server.target())
    circle = [{"id": "a", "persona": "analyst", "task": "x", "needs": ["a"], "tools": []}]
    model_server.default = Act(content=f"[[ ## steps ## ]]\n{json.dumps(circle)}\n\n[[ ## completed ## ]]")
    team_id = await receive_team(Assignment(QUESTION, "auto"), tea)
    with pytest.raises(BadPlan, match="a -> a"):
        await carry_out(team_id, tea)
    team = await read_team(team_id, tea)
    assert (team.status, team.cause, len(model_server.asked)) == ("failed", "plan_cycle", 3)


async def test_without_a_model_a_team_needs_a_plan(tea: UUID) -> None:
    team_id = await receive_team(Assignment(QUESTION, None, TeamLimits(seconds=5)), tea)
    with pytest.raises(PlannerMissing, match="send one"):
        await carry_out(team_id, tea)
    assert (await read_team(team_id, tea)).cause == "planner_missing"


async def test_another_tenants_team_is_not_there(tea: UUID, other_tenant: UUID) -> None:
    team_id = await receive_team(Assignment(QUESTION, TWO), tea)
    with pytest.raises(NotFound):
        await read_team(team_id, other_tenant)
    with pytest.raises(NotFound):
        await open_team(team_id, other_tenant)
    assert await read_facts(team_id, other_tenant) == []


async def test_a_step_that_keeps_killing_its_process_has_failed_in_the_end(tea: UUID, database_url: str) -> None:
    team_id = await receive_team(Assignment(QUESTION, one_step()), tea)
    with psycopg.connect(database_url) as connection:
        connection.execute("update team_step set state = 'running', attempts = 5")
    with pytest.raises(TeamFailed, match="crashed"):
        await carry_out(team_id, tea)
    assert await receive_team(Assignment(QUESTION, one_step()), tea, team_id) == team_id
    with pytest.raises(NotFound):
        await open_team(uuid4(), tea)


async def test_a_deleted_document_is_gone_from_what_teams_said_and_heard(
    tea: UUID, tmp_path: Path, database_url: str, use: Callable[..., None], model_server: ModelServer
) -> None:
    use(model_server.target())
    asked = choosing("persona", persona="technical", question=QUESTION)
    model_server.script = [asked, Act(content=GREEN), choosing("finish")]
    model_server.default = Act(content=GREEN)
    steps = [*one_step("persona")["steps"], {"id": "end", "persona": "assistant", "needs": ["sum"]}]
    team = await run({"steps": steps}, tea)
    assert "three minutes" in (team.answer or "")
    await forget(str(tmp_path / "documents" / "tea.md"), tea)
    after = await read_team(team.team_id, tea)
    assert (after.answer, {step.cause for step in after.steps}) == (None, {"source_deleted"})
    for table in tenant_tables():
        found = rows(database_url, f"select * from {table.name} t where t::text like '%three minutes%'")
        assert found == [], table.name


async def test_a_cancelled_team_ends_with_what_it_has_and_spends_nothing_more(
    tea: UUID, database_url: str, use: Callable[..., None], model_server: ModelServer
) -> None:
    use(model_server.target(price="1"))
    model_server.default = Act(content=GREEN)
    model_server.script = [Act(content=GREEN), Act(content=GREEN, delay=240)]
    steps = [{"id": "first", "persona": "analyst"}, {"id": "side", "persona": "analyst", "needs": ["first"]}]
    steps += [{"id": "last", "persona": "analyst", "needs": ["side"]}]
    team_id = await receive_team(Assignment(QUESTION, {"steps": steps}), tea)
    working = asyncio.create_task(carry_out(team_id, tea))
    while len(model_server.asked) < 2:
        await asyncio.sleep(0.05)
    await cancel_team(team_id, tea, "Ada")
    team = await asyncio.wait_for(working, 120)
    assert (team.status, team.cause) == ("cancelled", "cancelled")
    assert str(team.sentence).startswith("Cancelled by Ada: no answer, but results of ")
    assert [(step.state, step.cause) for step in team.steps] == [
        ("done", None), ("failed", "cancelled"), ("skipped", "cancelled")
    ]  # fmt: skip
    assert rows(database_url, "select status from query where status in ('queued', 'running')") == []
    assert rows(database_url, "select id from model_call where state = 'reserved'") == []
    assert len(model_server.asked) == 2
    await cancel_team(team_id, tea, "Bob")
    assert await carry_out(team_id, tea) == team


async def test_a_team_that_is_cancelled_before_it_begins_does_nothing(tea: UUID) -> None:
    team_id = await receive_team(Assignment(QUESTION, TWO), tea)
    await cancel_team(team_id, tea, "Ada")
    team = await carry_out(team_id, tea)
    assert (team.status, {step.state for step in team.steps}) == ("cancelled", {"skipped"})
    assert team.sentence == "Cancelled by Ada before there was any result."


async def test_the_steps_of_teams_wait_for_their_tenants_turn(
    tea: UUID, other_tenant: UUID, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KOWAI_BATCH_AT_ONCE", "1")
    settings.cache_clear()
    with psycopg.connect(database_url) as owner:
        held = "insert into batch_turn values (%s, %s, false, now() + interval '1 minute')"
        owner.execute(held, (uuid4(), other_tenant))
    team_id = await receive_team(Assignment(QUESTION, TWO), tea)
    working = asyncio.create_task(carry_out(team_id, tea))
    waiting = "select party from batch_turn where waiting"
    while {"party": tea} not in rows(database_url, waiting):
        await asyncio.sleep(0.05)
    assert {step.state for step in (await read_team(team_id, tea)).steps} == {"queued"}
    with psycopg.connect(database_url) as owner:
        owner.execute("delete from batch_turn where party = %s", (other_tenant,))
    assert (await working).status == "done"
    assert rows(database_url, "select * from batch_turn") == []


async def test_facts_that_steps_tell_at_once_are_committed_in_their_order(store: Database, tenant: UUID) -> None:
    team_id = uuid4()

    async def impatient() -> None:
        async with store.transaction(tenant) as second:
            await second.execute(text("set local lock_timeout = '50ms'"))
            await tell(second, team_id, tenant, "team.step")

    async with store.transaction(tenant) as first:
        await tell(first, team_id, tenant, "team.step")
        with pytest.raises(Unavailable):  # or a reader that has seen the second would never see the first
            await impatient()
