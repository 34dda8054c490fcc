"""Chat outlives Prefect's API: stopped in the middle of traffic, back later, and every answer is a run in the end."""

import asyncio
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from blocks.database import Database
from deployments.local.ports import free_port
from deployments.shim import components, recorder
from deployments.shim.app import create_app
from kowai.keys import format_key
from kowai.settings import settings
from tests.prefect_stand_in import StandIn

QUESTIONS = 4


@pytest.fixture
def key(store: Database, tenant: UUID) -> str:
    key = format_key(tenant, "k" * 43)
    settings().secrets.mkdir(parents=True)
    Path(settings().secrets / "api-key").write_text(key)
    return key


async def ask(api: httpx.AsyncClient, topic: str) -> str:
    """Ask a few questions at once; return the worst state of the answers."""
    asked = (api.post("/api/v1/query", json={"query": f"What is {topic} {n}?"}) for n in range(QUESTIONS))
    answers = [reply.raise_for_status().json()["status"] for reply in await asyncio.gather(*asked)]
    assert answers == ["done"] * QUESTIONS
    return (await api.get("/ready")).raise_for_status().json()["status"]


async def test_chat_goes_on_while_prefect_is_away_and_the_runs_appear_when_it_is_back(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "SWEEP_SECONDS", 0.2)
    monkeypatch.setattr(components, "FRESH_SECONDS", 0.0)
    prefect, port = StandIn(), free_port()
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{port}")
    app: FastAPI = create_app()
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://shim", headers=headers, timeout=60
        ) as api,
    ):
        async with prefect.serving(port):
            assert await ask(api, "tea") == "ok"
        assert await ask(api, "coffee") == "degraded"
        async with prefect.serving(port), asyncio.timeout(60):
            while len(prefect.states) < 2 * QUESTIONS:
                await asyncio.sleep(0.05)
            assert await ask(api, "milk") == "ok"
    assert {state for _, state in prefect.states} == {"COMPLETED"}
    assert len({run for run, _ in prefect.states}) == len(prefect.states) >= 2 * QUESTIONS
