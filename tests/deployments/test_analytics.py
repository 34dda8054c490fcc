"""Analytics leave through the API and the command."""

import json
from collections.abc import Iterator
from datetime import date
from uuid import uuid4

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from deployments.cli import app as cli
from deployments.commands import api as api_module
from deployments.shim.identity import Principal, authenticate
from deployments.shim.routes import analytics as analytics_module
from kowai.analytics import Analytics, Cohort, Week

ASKED = ["analytics", "--url", "http://testserver", "--key", "k"]
FIRST, SECOND = date(2026, 3, 16), date(2026, 3, 23)
USE = Analytics(
    since=FIRST,
    until=date(2026, 3, 29),
    active_day=1,
    active_week=2,
    active_month=3,
    stickiness=1 / 3,
    retention_week_1=0.5,
    retention_week_4=None,
    weeks=(
        Week(week=FIRST, active=2, new=2, questions=0, answered=None, liked=None),
        Week(week=SECOND, active=1, new=0, questions=1200, answered=0.9, liked=1.0),
    ),
    cohorts=(Cohort(week=FIRST, size=2, retained=(1.0, 0.5)),),
)


@pytest.fixture
def wanted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Yield what was asked of the reader of events."""
    asked: list[object] = []

    async def known(_: object, *rest: object) -> Analytics:
        asked.extend(rest)
        return USE

    monkeypatch.setattr(analytics_module, "read_analytics", known)
    app = FastAPI()
    app.include_router(analytics_module.router)
    app.dependency_overrides[authenticate] = lambda: Principal(uuid4(), uuid4(), "analyst")
    with TestClient(app) as client:
        monkeypatch.setattr(api_module.httpx, "Client", lambda **_: client)
        yield asked


def test_the_command_shows_weeks_and_who_came_back_and_what_is_unknown(wanted: list[object]) -> None:
    done = CliRunner().invoke(cli, ASKED, env={"COLUMNS": "160"})
    assert done.exit_code == 0, done.output
    assert wanted == [None, 8]
    assert "2 in 7 days" in done.output
    assert "50% after one week, unknown after four" in done.output
    assert ["2026-03-23", "1", "0", "1,200", "90%", "100%"] in [line.split() for line in done.output.splitlines()]
    assert ["2026-03-16", "2", "100%", "50%"] in [line.split() for line in done.output.splitlines()]


def test_the_command_prints_the_reply_as_it_is(wanted: list[object]) -> None:
    done = CliRunner().invoke(cli, [*ASKED, "--json", "--until", "2026-03-29", "--weeks", "2"])
    assert Analytics.model_validate(json.loads(done.output)) == USE
    assert wanted == [date(2026, 3, 29), 2]
