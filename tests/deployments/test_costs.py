"""Costs leave through the API and the command."""

import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from uuid import uuid4

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from deployments.commands import api as api_module
from deployments.commands import spending
from deployments.shim.identity import Principal, authenticate
from deployments.shim.routes import costs as costs_module
from tasks.costs import Costs, Share

DAY = Costs(
    day=date(2026, 1, 31),
    daily_limit=Decimal(100),
    reserved=Decimal(0),
    spent=Decimal("0.11"),
    reservations=2,
    settlements=1,
    releases=1,
    replays=3,
    shares=(
        Share(
            by="model",
            name="qwen3",
            calls=1,
            cost=None,
            charged=Decimal("0.11"),
            unknown=1,
            prompt_tokens=None,
            completion_tokens=None,
        ),
    ),
)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    async def known(*_: object) -> Costs:
        return DAY

    monkeypatch.setattr(costs_module, "read_costs", known)
    app = FastAPI()
    app.include_router(costs_module.router)
    app.dependency_overrides[authenticate] = lambda: Principal(uuid4(), uuid4(), "admin")
    with TestClient(app) as client:
        monkeypatch.setattr(api_module, "running_url", lambda: "http://testserver")
        monkeypatch.setattr(api_module.httpx, "Client", lambda **_: client)
        yield client


def test_the_api_tells_dollars_exactly_and_unknown_as_null(client: TestClient) -> None:
    told = client.get("/api/v1/costs").json()
    assert (told["day"], told["spent"], told["shares"][0]["cost"]) == ("2026-01-31", "0.11", None)


def test_the_command_prints_the_day(client: TestClient, capsys: pytest.CaptureFixture[str]) -> None:
    spending.costs(key="k")
    printed = capsys.readouterr().out
    assert "2026-01-31: $0.1100 spent of $100.0000" in printed
    assert "unknown" in printed


def test_the_command_prints_what_the_api_said(client: TestClient, capsys: pytest.CaptureFixture[str]) -> None:
    spending.costs(key="k", as_json=True)
    assert json.loads(capsys.readouterr().out)["replays"] == 3
