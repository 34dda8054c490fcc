"""What is killed goes on where it was, and the provider's own counter shows each reply paid once."""

from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from blocks.database import Database
from deployments.shim.team_views import read_team
from tasks.teams import Assignment, receive_team
from tests.flows import test_run_personas as personas
from tests.flows import test_run_team as teams
from tests.flows.conftest import learn_tea, rows
from tests.flows.killing import assert_paid_once, kill_after, let_leases_run_out
from tests.model_server import Act, ModelServer

pytestmark = pytest.mark.slow


@pytest.fixture
async def tea(
    store: Database, tenant: UUID, tmp_path: Path, use: Callable[..., None], model_server: ModelServer
) -> UUID:
    """Return a tenant who knows about tea and asks a model."""
    await learn_tea(tenant, tmp_path / "documents")
    use(model_server.target(price="10"))
    return tenant


async def test_a_batch_killed_twice_finishes_the_rest_and_pays_nothing_twice(
    store: Database, tea: UUID, database_url: str, model_server: ModelServer
) -> None:
    model_server.default = Act(content=personas.GOOD, delay=0.05)
    questions = [f"How long is green tea number {n} steeped?" for n in range(30)]
    batch_id = await personas.batch_of(questions, ["assistant", "analyst"], tea)
    in_flight = 0
    for asked in (12, 35):
        await kill_after(asked, model_server, "flows.run_personas.run_batch", batch_id, tea)
        in_flight += let_leases_run_out(database_url, "batch_turn")
        interrupted = await personas.counted(store, batch_id, tea)
        assert 0 < interrupted.in_progress < 60
    await personas.carry_out(batch_id, tea)
    assert await personas.counted(store, batch_id, tea) == (60, 60, 0, 0, 0)
    assert_paid_once(database_url, 60, model_server, in_flight)
    assert rows(database_url, "select settlements from spend")[0]["settlements"] == 60


async def test_a_team_killed_twice_finishes_the_rest_and_pays_nothing_twice(
    tea: UUID, database_url: str, model_server: ModelServer
) -> None:
    model_server.default = Act(content=teams.GREEN, delay=0.2)

    def choose() -> None:  # by what is asked, because a reply that a kill cuts off is asked for again
        chooses = "[[ ## tool ## ]]" in str(model_server.asked[-1]["messages"])
        model_server.script = [teams.choosing("calculator", expression="3 * 4")] if chooses else []

    model_server.on_request = choose
    steps = [{"id": "tools", "persona": "analyst", "tools": ["calculator"], "limits": {"iterations": 2}}]
    steps += [{"id": f"s{n}", "persona": "analyst", "needs": ["tools"], "task": f"Cup {n}"} for n in range(4)]
    steps += [{"id": "end", "persona": "assistant", "needs": [f"s{n}" for n in range(4)]}]
    team_id = await receive_team(Assignment(teams.QUESTION, {"steps": steps}), tea)
    in_flight = 0
    for asked in (2, 6):
        await kill_after(asked, model_server, "flows.run_team.run_stored_team", team_id, tea)
        in_flight += let_leases_run_out(database_url, "team")
        assert (await read_team(team_id, tea)).status == "running"
    team = await teams.carry_out(team_id, tea)
    assert (team.status, {step.state for step in team.steps}) == ("done", {"done"})
    assert_paid_once(database_url, 8, model_server, in_flight)
    assert any(step.attempts > 1 for step in team.steps)
