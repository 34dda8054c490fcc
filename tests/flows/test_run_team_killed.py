"""A team that is killed goes on where it was, and the provider's own counter shows each reply paid once."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from blocks.database import Database
from deployments.shim.team_views import read_team
from tasks.teams import Assignment, receive_team
from tests.flows.conftest import learn_tea, rows
from tests.flows.test_run_team import GREEN, QUESTION, carry_out, choosing
from tests.model_server import Act, ModelServer

ROOT = Path(__file__).parents[2]
PROGRAM = """
import asyncio, sys, time
from uuid import UUID
from blocks import connections
from blocks.language_model import LanguageModel, Target
from flows.run_team import run_stored_team
from tasks.step import traced

async def main(url, team, tenant):
    target = Target(name="local", model="local-model", endpoint=url, input_price=10, output_price=10)
    known = connections.Known(LanguageModel(targets=[target], request_limit=5), time.monotonic() + 1e6)
    connections._known[LanguageModel] = known
    with traced():
        await run_stored_team.fn(UUID(team), UUID(tenant))

asyncio.run(main(*sys.argv[1:]))
"""


async def kill_after(asked: int, server: ModelServer, team_id: UUID, tenant: UUID) -> None:
    """Carry the team out in a process of its own and kill -9 it once the provider was asked that often."""
    command = [sys.executable, "-c", PROGRAM, f"{server.url}/v1", str(team_id), str(tenant)]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": "."})
    until = time.monotonic() + 120
    while len(server.asked) < asked:
        assert time.monotonic() < until
        assert process.poll() is None
        await asyncio.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.slow
async def test_a_team_killed_twice_finishes_the_rest_and_pays_nothing_twice(
    store: Database,
    tenant: UUID,
    tmp_path: Path,
    database_url: str,
    use: Callable[..., None],
    model_server: ModelServer,
) -> None:
    await learn_tea(tenant, tmp_path / "documents")
    use(model_server.target(price="10"))
    model_server.default = Act(content=GREEN, delay=0.2)

    def choose() -> None:  # by what is asked, because a reply that a kill cuts off is asked for again
        chooses = "[[ ## tool ## ]]" in str(model_server.asked[-1]["messages"])
        model_server.script = [choosing("calculator", expression="3 * 4")] if chooses else []

    model_server.on_request = choose
    steps = [{"id": "tools", "persona": "analyst", "tools": ["calculator"], "limits": {"iterations": 2}}]
    steps += [{"id": f"s{n}", "persona": "analyst", "needs": ["tools"], "task": f"Cup {n}"} for n in range(4)]
    steps += [{"id": "end", "persona": "assistant", "needs": [f"s{n}" for n in range(4)]}]
    team_id = await receive_team(Assignment(QUESTION, {"steps": steps}), tenant)
    in_flight = 0
    for asked in (2, 6):
        await kill_after(asked, model_server, team_id, tenant)
        in_flight += rows(database_url, "select count(*) as calls from model_call where state = 'reserved'")[0]["calls"]
        with psycopg.connect(database_url) as connection:
            connection.execute("update team set leased_until = now() - interval '1 s'")
            connection.execute("update model_call set leased_until = now() - interval '1 s' where state = 'reserved'")
        assert (await read_team(team_id, tenant)).status == "running"
    team = await carry_out(team_id, tenant)
    assert (team.status, {step.state for step in team.steps}) == ("done", {"done"})
    (books,) = rows(database_url, "select reserved, reservations, settlements, releases from spend")
    (settled,) = rows(database_url, "select count(*) as calls from model_call where state = 'settled'")
    assert settled["calls"] == 8
    assert (books["reserved"], books["reservations"]) == (0, books["settlements"] + books["releases"])
    assert len(model_server.asked) - 8 <= in_flight  # asked again only where the kill came before the reply
    assert any(step.attempts > 1 for step in team.steps)
