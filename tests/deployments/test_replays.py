"""A replay leaves through the API and the command."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
import typer
from fastapi import FastAPI
from fastapi.testclient import TestClient

from deployments.commands import api as api_module
from deployments.commands import replaying
from deployments.shim.identity import Principal, authenticate
from deployments.shim.routes import replays as replays_module
from kowai.replay import Outcome, Record, Replay, difference
from kowai.types import Prompt, Usage

QUERY = uuid4()
STORED = Outcome(text="Three. [1]", citations=(), sentences=(), confidence=0.8, abstained=False, model="local")
RECORD = Record(
    query_id=QUERY,
    question="How long?",
    standalone="How long?",
    filters={},
    persona="assistant",
    persona_version="aaaa",
    current_persona_version="bbbb",
    prompt=Prompt(signature="AnswerFromPassages", instructions="Answer.", inputs={"voice": "Plain."}),
    passages=(),
    answer=STORED,
    fallback=False,
    usage=Usage(),
    cost=Decimal("0.1100"),
    flow_run_id=None,
    asked_at=datetime(2026, 1, 31, tzinfo=UTC),
    finished_at=None,
)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    async def read_record(*_: object) -> Record:
        return RECORD

    async def replay(record: Record, tenant_id: UUID, sample: int) -> Replay:
        made = STORED.model_copy(update={"text": "Four. [1]"}) if sample else STORED
        shown = difference(STORED, made)
        told = {"fresh": bool(sample), "identical": not shown, "difference": shown, "cost": Decimal(0)}
        return Replay(query_id=QUERY, answer=made, **told)

    monkeypatch.setattr(replays_module, "read_record", read_record)
    monkeypatch.setattr(replays_module, "replay", replay)
    app = FastAPI()
    app.include_router(replays_module.router)
    app.dependency_overrides[authenticate] = lambda: Principal(uuid4(), uuid4(), "admin")
    with TestClient(app) as client:
        monkeypatch.setattr(api_module, "running_url", lambda: "http://testserver")
        monkeypatch.setattr(api_module.httpx, "Client", lambda **_: client)
        yield client


def test_the_api_shows_the_record_and_replays_with_or_without_a_body(client: TestClient) -> None:
    path = f"/api/v1/query/{QUERY}/replay"
    assert client.get(path).json()["cost"] == "0.11"
    assert client.post(path).json()["identical"]
    assert client.post(path, json={"fresh": False}).json()["difference"] == ""
    assert "+answer: Four. [1]" in client.post(path, json={"fresh": True}).json()["difference"]
    assert client.post(path, json={"new": 1}).status_code == 422


def test_the_command_prints_what_an_answer_was_made_of(client: TestClient, capsys: pytest.CaptureFixture[str]) -> None:
    replaying.replay(str(QUERY), key="k")
    printed = capsys.readouterr().out
    assert "assistant, version aaaa (now bbbb)" in printed
    assert "identical to the byte" in printed


def test_the_command_ends_with_1_and_a_diff_when_the_answer_changed(
    client: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit):
        replaying.replay(str(QUERY), key="k", fresh=True)
    assert "-answer: Three. [1]\n+answer: Four. [1]" in capsys.readouterr().out
