"""Teams through HTTP and the command line."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from typer.testing import CliRunner

from blocks.database import Database
from deployments.cli import app as cli
from deployments.commands import api as api_module
from deployments.commands import teaming
from deployments.shim.errors import add_error_handlers
from deployments.shim.identity import Principal, authenticate
from deployments.shim.routes import teams
from deployments.shim.streams import Streams
from flows.run_team import run_stored_team
from kowai.teams.plan import parse_plan
from tasks.step import traced
from tasks.teams import Assignment, known_names, receive_team
from tests.flows.conftest import learn_tea

SAMPLE = Path(__file__).parents[2] / "samples" / "team.yaml"
QUESTION = "How long is green tea steeped?"
PLAN = """
steps:
  - {id: green, persona: analyst}
  - {id: black, persona: technical, task: "How long does black tea take?"}
"""


class Runs:
    """Carry a team out at once, as a worker would."""

    async def start(self, deployment: str, *, tenant_id: UUID, team_id: UUID, **_: object) -> None:
        assert deployment == "run-team/run-stored-team"
        with traced():
            await run_stored_team.fn(team_id, tenant_id)


def client_of(tenant: UUID, role: str = "analyst") -> httpx.AsyncClient:
    app = FastAPI()
    app.include_router(teams.router)
    add_error_handlers(app)
    app.state.runs = Runs()
    app.state.streams = Streams(app.state.runs)  # pyright: ignore[reportArgumentType]
    app.dependency_overrides[authenticate] = lambda: Principal(tenant, uuid4(), role)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://kowai")


@pytest.fixture
async def http(store: Database, tenant: UUID, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    await learn_tea(tenant, tmp_path / "documents")
    async with client_of(tenant) as client:
        yield client


async def test_a_team_is_cancelled_by_its_route_and_one_that_has_ended_stays_so(
    http: httpx.AsyncClient, tenant: UUID, other_tenant: UUID
) -> None:
    team_id = await receive_team(Assignment(QUESTION, PLAN), tenant)
    where = f"/api/v1/teams/{team_id}/cancel"
    async with client_of(other_tenant) as stranger:
        assert (await stranger.post(where)).status_code == 404
    async with client_of(tenant, "viewer") as viewer:
        assert (await viewer.post(where)).status_code == 403
    cancelled = (await http.post(where)).json()
    assert (cancelled["status"], cancelled["cause"]) == ("cancelled", "cancelled")
    made = (await http.post("/api/v1/teams", json={"question": QUESTION, "plan": PLAN})).json()
    assert (await http.post(f"/api/v1/teams/{made['team_id']}/cancel")).json() == made


async def test_a_team_answers_and_its_history_can_be_read_again(http: httpx.AsyncClient, other_tenant: UUID) -> None:
    made = await http.post("/api/v1/teams", json={"question": QUESTION, "plan": PLAN})
    team = made.json()
    assert (made.status_code, team["status"], team["drawn"], team["cost"]) == (202, "done", False, "0")
    assert team["answer"].startswith("## green\n\nGreen tea is steeped for three minutes")
    assert "Black tea takes five minutes." in team["answer"].partition("## black")[2]
    assert f"[{len(team['citations'])}]" in team["answer"]
    where = f"/api/v1/teams/{team['team_id']}"
    assert (await http.get(where)).json() == team
    assert [each["team_id"] for each in (await http.get("/api/v1/teams")).json()] == [team["team_id"]]
    told = (await http.get(f"{where}/events")).text
    names = [line.removeprefix("event: ") for line in told.splitlines() if line.startswith("event: ")]
    assert (names[0], names[-1], names.count("team.step")) == ("team.started", "team.done", 4)
    last = [line.removeprefix("id: ") for line in told.splitlines() if line.startswith("id: ")][-1]
    assert (await http.get(f"{where}/events", headers={"Last-Event-ID": last})).status_code == 204
    async with client_of(other_tenant) as stranger:
        for path in (where, f"{where}/events"):
            assert (await stranger.get(path)).status_code == 404
        assert (await stranger.get("/api/v1/teams")).json() == []


@pytest.mark.parametrize(
    ("plan", "code"),
    [
        ("steps: [", "bad_plan"),
        ({"steps": []}, "bad_plan"),
        ({"steps": [{"id": "a", "persona": "analyst", "needs": ["a"]}]}, "plan_cycle"),
        ({"steps": [{"id": "a", "persona": "nobody"}]}, "plan_unknown_persona"),
        ({"steps": [{"id": "a", "persona": "analyst", "tools": ["shell"]}]}, "plan_unknown_tool"),
        ({"steps": [{"id": "a", "persona": "analyst", "needs": ["b"]}]}, "plan_unknown_step"),
        ({"steps": [{"id": f"s{n}", "persona": "analyst"} for n in range(21)]}, "plan_too_many_steps"),
    ],
)
async def test_a_bad_plan_is_refused_and_nothing_is_stored(http: httpx.AsyncClient, plan: Any, code: str) -> None:
    reply = await http.post("/api/v1/teams", json={"question": QUESTION, "plan": plan})
    assert (reply.status_code, reply.json()["error"]["code"]) == (422, code)
    assert (await http.get("/api/v1/teams")).json() == []


async def test_a_viewer_may_not_start_a_team(store: Database, tenant: UUID) -> None:
    async with client_of(tenant, "viewer") as viewer:
        assert (await viewer.post("/api/v1/teams", json={"question": QUESTION, "plan": PLAN})).status_code == 403


def test_the_sample_plan_is_one() -> None:
    assert parse_plan(SAMPLE.read_text(), known_names()).results() == ("answer",)


@pytest.mark.parametrize(("status", "code"), [("done", 0), ("failed", 1), ("partial", 3), ("cancelled", 3)])
def test_the_command_follows_the_steps_and_its_exit_code_tells_partial_from_failed(
    monkeypatch: pytest.MonkeyPatch, status: str, code: int
) -> None:
    sent: list[dict[str, Any]] = []
    states = iter(["running", status])

    def reply(request: httpx.Request) -> httpx.Response:
        if request.content:
            sent.append(json.loads(request.content))
        step = {"step": "start", "persona": "technical", "state": "done", "cause": None, "sentence": None}
        told = {"team_id": "t", "answer": "Run it.", "citations": [], "cost": None, "sentence": "Because."}  # pyright: ignore[reportUnknownVariableType]
        return httpx.Response(202, json=told | {"steps": [step], "status": next(states)})

    client = httpx.Client(base_url="http://kowai", transport=httpx.MockTransport(reply))
    monkeypatch.setattr(api_module, "httpx", SimpleNamespace(**(vars(httpx) | {"Client": lambda **_: client})))  # pyright: ignore[reportUnknownLambdaType]
    monkeypatch.setattr(teaming, "PAUSE_SECONDS", 0.0)
    done = CliRunner().invoke(cli, ["team", str(SAMPLE), QUESTION, "--url", "http://kowai", "--key", "k"])
    assert done.exit_code == code, done.output
    assert sent == [{"question": QUESTION, "plan": SAMPLE.read_text(), "dry_run": False, "approve_above": "1.0"}]
    assert done.output.count("start by technical: done") == 1
    assert "Run it." in done.output
    assert "cost unknown" in done.output


def test_the_command_cancels_a_team(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def reply(request: httpx.Request) -> httpx.Response:
        asked.append((request.method, request.url.path))
        told = {"team_id": "t", "status": "refused", "sentence": "Cancelled by Ada."}
        return httpx.Response(200, json=told | {"answer": None, "citations": [], "cost": None})

    client = httpx.Client(base_url="http://kowai", transport=httpx.MockTransport(reply))
    monkeypatch.setattr(api_module, "httpx", SimpleNamespace(**(vars(httpx) | {"Client": lambda **_: client})))  # pyright: ignore[reportUnknownLambdaType]
    done = CliRunner().invoke(cli, ["teams", "t", "--cancel", "--url", "http://kowai", "--key", "k"])
    assert asked == [("POST", "/api/v1/teams/t/cancel")]
    assert "Cancelled by Ada." in done.output
