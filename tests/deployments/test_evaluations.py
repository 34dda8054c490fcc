"""Suites and evaluations through HTTP and the command line."""

import json
from collections.abc import AsyncIterator, Callable
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
from deployments.shim.errors import add_error_handlers
from deployments.shim.identity import Principal, authenticate
from deployments.shim.routes import evaluations, feedback, queries, suites
from flows.answer import answer_query
from flows.evaluate import carry_out
from tasks.receive import Inquiry, receive_query
from tasks.step import traced
from tests.flows.conftest import learn_tea

SUITE = b"""
cases:
  - {id: green, question: "How long is green tea steeped?", facts: [three minutes], documents: [tea.md]}
  - {id: green, question: "Again?"}
  - {id: king, question: "Who is the king?", unanswerable: true}
"""


class Runs:
    """Carry an evaluation out at once, as a worker would."""

    async def start(self, deployment: str, *, tenant_id: UUID, evaluation_id: UUID, **_: object) -> None:
        assert deployment == "evaluate/run-stored-evaluation"
        with traced():
            await carry_out(evaluation_id, tenant_id)


def shim(tenant: UUID, role: str = "admin") -> FastAPI:
    app = FastAPI()
    for module in (suites, evaluations, queries, feedback):
        app.include_router(module.router)
    add_error_handlers(app)
    app.state.runs = Runs()
    app.dependency_overrides[authenticate] = lambda: Principal(tenant, uuid4(), role)
    return app


@pytest.fixture
async def http(store: Database, tenant: UUID, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    await learn_tea(tenant, tmp_path / "documents")
    transport = httpx.ASGITransport(shim(tenant), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://kowai") as client:
        yield client


async def test_an_uploaded_suite_is_evaluated_listed_reported_and_accepted(http: httpx.AsyncClient) -> None:
    stored = (await http.post("/api/v1/suites", files={"files": ("tea.yaml", SUITE)})).json()
    assert (stored["name"], stored["cases"], stored["rejections"]) == ("tea", 2, 1)
    assert stored["rejected"][0]["code"] == "duplicate_id"
    assert [each["version"] for each in (await http.get("/api/v1/suites")).json()] == [1]
    made = await http.post("/api/v1/evaluations", json={"suite": "tea"})
    assert made.status_code == 202
    evaluation = made.json()
    assert (evaluation["outcome"], evaluation["accepted"], evaluation["in_progress"]) == ("passed", True, 0)
    where = f"/api/v1/evaluations/{evaluation['evaluation_id']}"
    result = (await http.get(where)).json()
    assert result["found"]["estimates"]["assistant"]["containment"]["value"] == 1
    assert [each["outcome"] for each in (await http.get("/api/v1/evaluations")).json()] == ["passed"]
    assert (await http.get("/api/v1/evaluations?suite=other")).json() == []
    report = (await http.get(f"{where}/report")).text
    assert "**passed**: 2 of 2 cases" in report
    assert "steeped" not in report
    assert (await http.post(f"{where}/accept")).json()["accepted"]


async def test_what_was_answered_least_right_comes_first_with_the_query_behind_it(http: httpx.AsyncClient) -> None:
    suite = SUITE.replace(b"[three minutes]", b"[four minutes]")
    await http.post("/api/v1/suites", files={"files": ("tea.yaml", suite)})
    made = (await http.post("/api/v1/evaluations", json={"suite": "tea"})).json()
    green, king = (await http.get(f"/api/v1/evaluations/{made['evaluation_id']}/cases")).json()
    assert (green["case"], green["right"], green["scores"]["containment"]) == ("green", 0, 0)
    assert "three minutes" in green["answer"]
    assert (await http.get(f"/api/v1/query/{green['query_id']}")).json()["answer"] == green["answer"]
    assert (king["case"], king["right"]) == ("king", 1)
    (worst,) = (await http.get(f"/api/v1/evaluations/{made['evaluation_id']}/cases?limit=1")).json()
    assert worst == green


async def test_a_beir_folder_is_sent_file_by_file(http: httpx.AsyncClient) -> None:
    files = [
        ("files", ("queries.jsonl", b'{"_id": "1", "text": "How long is green tea steeped?"}\n')),
        ("files", ("qrels/test.tsv", b"1\ttea.md\t1\n")),
        ("name", (None, b"beir-tea")),
    ]
    stored = await http.post("/api/v1/suites", files=files)
    assert (stored.status_code, stored.json()["name"], stored.json()["cases"]) == (201, "beir-tea", 1)


@pytest.mark.parametrize(
    ("path", "sent", "status", "code"),
    [
        ("suites", {"files": {"files": ("s.yaml", b"cases: 1")}}, 422, "bad_suite"),
        ("suites", {"files": {"files": ("s.yaml", b"cases:\n- {}")}}, 422, "no_cases"),
        ("suites", {"json": {}}, 422, "invalid_input"),
        ("suites:draw", {"json": {"sources": ["rumours"]}}, 422, "invalid_input"),
        ("suites:draw", {"json": {}}, 422, "no_cases"),
        ("evaluations", {"json": {"suite": "missing"}}, 404, "not_found"),
        ("evaluations", {"json": {"suite": "handbook", "personas": ["nobody"]}}, 422, "unknown_persona"),
        ("evaluations/00000000-0000-0000-0000-000000000000/accept", {}, 404, "not_found"),
    ],
)
async def test_what_cannot_be_evaluated_is_refused_by_name(
    http: httpx.AsyncClient, path: str, sent: dict[str, Any], status: int, code: str
) -> None:
    reply = await http.post(f"/api/v1/{path}", **sent)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)


async def test_a_suite_is_drawn_from_what_was_asked_and_rated(http: httpx.AsyncClient, tenant: UUID) -> None:
    ids: list[UUID] = []
    for question in ("How long is green tea steeped?", "Who is the king?", "How hot is green tea?"):
        ids.append(await receive_query(Inquiry(question), tenant))
        with traced():
            await answer_query.fn(ids[-1], tenant)
    rated = await http.post(f"/api/v1/query/{ids[0]}/feedback", json={"rating": "up"})
    assert rated.is_success, rated.text
    drawn = (await http.post("/api/v1/suites:draw")).json()
    assert drawn["cases"] >= 2
    made = (await http.post("/api/v1/evaluations", json={"suite": "production"})).json()
    found = (await http.get(f"/api/v1/evaluations/{made['evaluation_id']}")).json()["found"]
    assert found["estimates"]["assistant"]["exact_match"]["value"] == 1, "the liked answer is what is expected"


async def test_a_viewer_may_not_evaluate_and_another_tenant_sees_nothing(
    http: httpx.AsyncClient, tenant: UUID, other_tenant: UUID
) -> None:
    await http.post("/api/v1/suites", files={"files": ("tea.yaml", SUITE)})
    made = (await http.post("/api/v1/evaluations", json={"suite": "tea"})).json()
    for caller, role, status in ((tenant, "viewer", 403), (other_tenant, "admin", 404)):
        transport = httpx.ASGITransport(shim(caller, role), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://kowai") as other:
            for below in ("", "/cases"):
                assert (await other.get(f"/api/v1/evaluations/{made['evaluation_id']}{below}")).status_code == status
            assert (await other.post("/api/v1/evaluations", json={"suite": "tea"})).status_code == status


def replying(outcome: str) -> Callable[[httpx.Request], httpx.Response]:
    """Return an API whose one evaluation ends as `outcome`."""
    head = {"evaluation_id": "e", "outcome": outcome, "status": "done", "found": None, "suite": "tea"}
    head |= {"suite_version": 1, "personas": ["assistant"], "accepted": False, "created_at": "2026-01-01T00:00:00Z"}
    dead = {"case": "green", "persona": "assistant", "state": "dead", "cause": "crashed", "sentence": None}

    def reply(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("suites"):
            bad = {"where": "Case 2", "code": "duplicate_id", "message": "Case 2 repeats the id."}
            return httpx.Response(201, json={"suite_id": "s", "rejected": [bad]})
        if request.method == "GET" and request.url.path.endswith("evaluations"):
            return httpx.Response(200, json=[head])
        return httpx.Response(202, json=head | {"without_score": [dead]})

    return reply


@pytest.mark.parametrize(("outcome", "code"), [("passed", 0), ("broken", 1), ("regressed", 3)])
def test_the_exit_code_tells_regressed_from_broken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, outcome: str, code: int
) -> None:
    client = httpx.Client(base_url="http://kowai", transport=httpx.MockTransport(replying(outcome)))
    monkeypatch.setattr(api_module, "httpx", SimpleNamespace(**(vars(httpx) | {"Client": lambda **_: client})))  # pyright: ignore[reportUnknownLambdaType]
    (tmp_path / "tea.yaml").write_bytes(SUITE)
    done = CliRunner().invoke(cli, ["evaluate", str(tmp_path / "tea.yaml"), "--url", "http://kowai", "--key", "k"])
    assert done.exit_code == code, done.output
    assert "left out: Case 2 repeats the id." in done.output
    assert "dead: green by assistant: crashed" in done.output


def test_evaluations_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    client = httpx.Client(base_url="http://kowai", transport=httpx.MockTransport(replying("passed")))
    monkeypatch.setattr(api_module, "httpx", SimpleNamespace(**(vars(httpx) | {"Client": lambda **_: client})))  # pyright: ignore[reportUnknownLambdaType]
    done = CliRunner().invoke(cli, ["evaluations", "--json", "--url", "http://kowai", "--key", "k"])
    assert done.exit_code == 0, done.output
    assert [each["outcome"] for each in json.loads(done.output)] == ["passed"]
