"""Batches through HTTP and the command line."""

import json
from collections.abc import AsyncIterator
from decimal import Decimal
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
from deployments.shim.routes import approvals, batches, question_sets
from flows.run_personas import run_batch
from kowai.quotes import Quote
from tasks.step import traced


class Runs:
    """Carry a batch out at once, as a worker would."""

    def __init__(self) -> None:
        self.started: list[str] = []

    async def start(self, deployment: str, *, tenant_id: UUID, batch_id: UUID, **_: object) -> None:
        self.started.append(deployment)
        with traced():
            await run_batch.fn(batch_id, tenant_id)


def shim(tenant: UUID) -> FastAPI:
    app = FastAPI()
    for router in (question_sets.router, batches.router, approvals.router):
        app.include_router(router)
    add_error_handlers(app)
    app.state.runs = Runs()
    app.dependency_overrides[authenticate] = lambda: Principal(tenant, uuid4(), "admin")
    return app


@pytest.fixture
async def http(store: Database, tenant: UUID) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(shim(tenant), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://kowai") as client:
        yield client


async def test_an_uploaded_set_is_asked_and_its_table_downloaded(http: httpx.AsyncClient) -> None:
    file = ("q.csv", b"id,question\na,How long is tea steeped?\na,Again?\nb,Why?\n")
    stored = (await http.post("/api/v1/question-sets", files={"file": file})).json()
    assert (stored["questions"], stored["rejections"], stored["rejected"][0]["line"]) == (2, 1, 3)
    assert [one["name"] for one in (await http.get("/api/v1/question-sets")).json()] == ["q.csv"]
    made = await http.post("/api/v1/batches", json={"question_set": "q.csv", "personas": ["assistant", "analyst"]})
    assert made.status_code == 202
    batch = made.json()
    assert (batch["status"], batch["accepted"], batch["done"], batch["cost"]) == ("done", 4, 4, "0")
    assert batch["quote"]["items"] == 4
    where = f"/api/v1/batches/{batch['batch_id']}"
    assert (await http.get(where)).json() == batch
    results = (await http.get(f"{where}/results")).json()
    assert [row["id"] for row in results["questions"]] == ["a", "b"]
    assert [share["persona"] for share in results["totals"]] == ["assistant", "analyst"]
    table = await http.get(f"{where}/results", params={"format": "csv"})
    assert table.headers["content-disposition"].endswith('.csv"')
    assert table.text.splitlines()[0].startswith("\ufeffid,question,assistant state")
    lines = (await http.get(f"{where}/results", params={"format": "jsonl"})).text.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["a", "b"]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b'{"name": "s", "questions": ["Why?", {"id": "b", "question": "When?"}]}'),
        ("text/csv", b"question\nWhy?\nWhen?\n"),
        ("application/jsonl", b'{"question": "Why?"}\n{"question": "When?"}\n'),
    ],
)
async def test_a_set_comes_as_json_csv_or_json_lines(http: httpx.AsyncClient, kind: str, body: bytes) -> None:
    reply = await http.post("/api/v1/question-sets", content=body, headers={"Content-Type": kind})
    assert (reply.status_code, reply.json()["questions"]) == (201, 2)


async def test_a_dry_run_is_a_quote_and_nothing_else(http: httpx.AsyncClient) -> None:
    reply = await http.post("/api/v1/batches", json={"questions": ["Why?"], "personas": ["assistant"], "dry_run": True})
    assert (reply.status_code, reply.json()["status"], reply.json()["accepted"]) == (200, "quoted", 0)
    assert reply.json()["quote"]["worst_dollars"] == "0"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"questions": ["Why?"], "personas": ["nobody"]}, 422, "unknown_persona"),
        ({"questions": ["Why?"], "personas": []}, 422, "invalid_request"),
        ({"questions": [], "personas": ["assistant"]}, 422, "invalid_request"),
        ({"question_set": "missing", "personas": ["assistant"]}, 404, "not_found"),
        ({"questions": ["Why?", " "], "personas": ["assistant"]}, 422, "question_empty"),
        ({"questions": [{"id": 1, "question": "Why?"}] * 2, "personas": ["assistant"]}, 422, "duplicate_id"),
        ({"questions": [f"Why {n}?" for n in range(60_000)], "personas": ["assistant"]}, 413, "too_many_questions"),
        ({"questions": ["Why?"], "personas": ["assistant"], "approve_above": -1}, 422, "invalid_request"),
    ],
)
async def test_a_bad_batch_is_refused_by_name(
    http: httpx.AsyncClient, body: dict[str, Any], status: int, code: str
) -> None:
    reply = await http.post("/api/v1/batches", json=body)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 422, "no_questions"),
        (b"\x89PNG\r\n\x1a\n" + bytes(300), 415, "not_text"),
        (b"question\n" + b"".join(b"Why %d?\n" % n for n in range(100_000)), 413, "too_many_questions"),
    ],
)
async def test_a_bad_file_is_refused_by_name(http: httpx.AsyncClient, content: bytes, status: int, code: str) -> None:
    reply = await http.post("/api/v1/question-sets", files={"file": ("q.csv", content)})
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)


async def test_a_batch_of_another_tenant_is_not_there(
    http: httpx.AsyncClient, store: Database, other_tenant: UUID
) -> None:
    made = (await http.post("/api/v1/batches", json={"questions": ["Why?"], "personas": ["assistant"]})).json()
    transport = httpx.ASGITransport(shim(other_tenant))
    async with httpx.AsyncClient(transport=transport, base_url="http://kowai") as other:
        for path in ("", "/results", "/results?format=csv"):
            assert (await other.get(f"/api/v1/batches/{made['batch_id']}{path}")).status_code == 404


QUOTE = Quote(
    items=1,
    prompt_tokens=0,
    output_tokens=0,
    dollars=Decimal(2),
    worst_tokens=0,
    worst_dollars=Decimal(3),
    minutes=0,
    basis="assumption",
    model="m",
    left_today=Decimal(9),
).model_dump(mode="json")


def reply_of(request: httpx.Request) -> httpx.Response:
    """Answer as the API does for one finished batch."""
    counts = {"accepted": 1, "done": 1, "refused": 0, "dead": 0, "in_progress": 0, "without_answer": []}
    batch = {"batch_id": "b", "status": "done", "quote": None, **counts}
    if request.url.path.endswith("approvals"):
        return httpx.Response(200, json=[])
    if request.url.path.endswith("decision"):
        told = json.loads(request.content)
        return httpx.Response(202, json={"quote": QUOTE | {"model": f"{request.url.path} {told}"}})
    if request.url.path.endswith("question-sets"):
        rejected = [{"line": 3, "code": "bad_record", "message": "Line 3 of q.csv is not valid CSV."}]
        return httpx.Response(201, json={"question_set_id": "s", "rejected": rejected})
    if request.url.params.get("format") == "csv":
        return httpx.Response(200, content=b"id,question\n")
    if request.url.path.endswith("results"):
        share = dict.fromkeys(("items", "done", "abstained", "refused", "dead", "confidence"), 1)
        return httpx.Response(200, json={"totals": [{"persona": "assistant", **share, "cost": None}]})
    return httpx.Response(202, json=batch)


@pytest.fixture
def _answering(monkeypatch: pytest.MonkeyPatch) -> None:
    client = httpx.Client(base_url="http://kowai", transport=httpx.MockTransport(reply_of))
    monkeypatch.setattr(api_module, "httpx", SimpleNamespace(**(vars(httpx) | {"Client": lambda **_: client})))


@pytest.mark.usefixtures("_answering")
def test_the_command_names_bad_lines_and_writes_the_table(tmp_path: Path) -> None:
    (tmp_path / "q.csv").write_text("question\nWhy?\n")
    options = ["-p", "assistant", "--url", "http://kowai", "--key", "k"]
    done = CliRunner().invoke(cli, ["batch", str(tmp_path / "q.csv"), *options])
    assert done.exit_code == 0, done.output
    assert "left out: Line 3 of q.csv" in done.output
    assert "unknown" in done.output
    assert (tmp_path / "q.answers.csv").read_bytes() == b"id,question\n"


@pytest.mark.usefixtures("_answering")
@pytest.mark.parametrize(
    ("said", "decision", "shown"),
    [
        (["approve", "b"], {"approve": True}, "Approved"),
        (["decline", "b", "-m", "Too dear."], {"approve": False, "reason": "Too dear."}, "Declined"),
    ],
)
def test_a_batch_is_decided_on_the_command_line(said: list[str], decision: dict[str, Any], shown: str) -> None:
    done = CliRunner().invoke(cli, [*said, "--url", "http://kowai", "--key", "k"])
    assert done.exit_code == 0, done.output
    assert done.output.startswith(f"{shown}: 1 answer by /api/v1/approvals/b/decision {decision}")


@pytest.mark.usefixtures("_answering")
def test_a_list_of_nothing_that_waits_says_so() -> None:
    done = CliRunner().invoke(cli, ["approvals", "--url", "http://kowai", "--key", "k"])
    assert done.output == "Nothing waits for an approval.\n"


async def test_only_an_operator_may_approve(store: Database, tenant: UUID) -> None:
    app = shim(tenant)
    app.dependency_overrides[authenticate] = lambda: Principal(tenant, uuid4(), "analyst")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://kowai") as client:
        assert (await client.post(f"/api/v1/approvals/{uuid4()}/decision", json={"approve": True})).status_code == 403
