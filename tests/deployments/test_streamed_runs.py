"""A streamed answer ends in Prefect as what it was: completed, cancelled because nobody listened, or failed."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from deployments.shim import recorder
from tests.deployments.conftest import Shim
from tests.model_server import Act, ModelServer
from tests.prefect_stand_in import StandIn

Use = Callable[..., None]

QUESTION = {"query": "How long is green tea steeped?"}
FOUND = "[[ ## found ## ]]\nTrue\n\n[[ ## answer ## ]]\n{}\n\n[[ ## completed ## ]]"
REPLY = FOUND.format("Green tea is steeped for three minutes [1].")
LONG = FOUND.format("Green tea is steeped for three minutes. " * 40)
TOLERANCE = timedelta(milliseconds=5)  # the record begins just before the question is stored


@pytest.fixture
def _telling_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "SWEEP_SECONDS", 0.2)
    monkeypatch.setattr(recorder, "LEAST_PAUSE_SECONDS", 0.1)


@pytest.fixture
async def watched(_telling_soon: None, prefect: StandIn, shim: Shim) -> Shim:
    """Return a shim that tells its runs to the stand-in."""
    return shim


async def told(prefect: StandIn) -> tuple[str, dict[str, Any]]:
    """Wait until the only run has ended; return its state and what it was created with."""
    async with asyncio.timeout(60):
        while not prefect.states:
            await asyncio.sleep(0.05)
    ((_, state),) = prefect.states
    (run,) = prefect.runs.values()
    return state, run


def stored(url: str) -> dict[str, Any]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        (found,) = connection.execute("select * from query").fetchall()
        return found


def times_of(prefect: StandIn, run: dict[str, Any]) -> tuple[datetime, datetime]:
    """Return when the run began and ended, as its labels or, for one seen running, its last message say."""
    (message,) = prefect.messages
    began, ended = message.partition("from ")[2].rstrip(".").split(" until ")
    assert run["labels"]["kowai.started-at"] == began
    return datetime.fromisoformat(began), datetime.fromisoformat(ended)


async def test_one_that_was_heard_to_its_end_is_completed(
    watched: Shim, prefect: StandIn, use: Use, model_server: ModelServer, database_url: str
) -> None:
    use(model_server.target())
    model_server.default = Act(content=REPLY, drip=0.1)
    before = datetime.now(UTC)
    async with watched.client() as client:
        assert "event: answer" in (await client.post("/api/v1/chat", json=QUESTION)).text
    after = datetime.now(UTC)
    state, run = await told(prefect)
    query = stored(database_url)
    assert (state, query["status"]) == ("COMPLETED", "done")
    assert run["parameters"] == {"query_id": str(query["id"]), "tenant_id": str(watched.tenant)}
    began, ended = times_of(prefect, run)
    assert before <= began <= query["started_at"] + TOLERANCE
    assert query["finished_at"] - TOLERANCE <= ended <= after
    assert ended - began > timedelta(seconds=1)  # it was written slowly
    steps = [event["payload"]["task_run"]["task_key"] for event in prefect.events]
    assert steps == ["admit", "retrieve", "generate", "record-answer"]


async def test_one_whose_client_went_away_is_cancelled_at_that_moment(
    watched: Shim, prefect: StandIn, use: Use, model_server: ModelServer, database_url: str
) -> None:
    use(model_server.target())
    model_server.default = Act(content=LONG, drip=0.05)
    async with watched.client() as client:
        async with client.stream("POST", "/api/v1/chat", json=QUESTION) as response:
            async for line in response.aiter_lines():
                if line == "event: text":
                    break
        left = datetime.now(UTC)
    state, run = await told(prefect)
    query = stored(database_url)
    assert (state, query["status"]) == ("CANCELLED", "stopped")
    began, ended = times_of(prefect, run)
    assert began < left < ended < query["finished_at"] + TOLERANCE
    assert model_server.sent_pieces < len(LONG.split(" "))
    assert "Nobody waited for it any more." in prefect.messages[0]
    assert query["text"] not in str(prefect.runs) + str(prefect.events) + str(prefect.messages)


async def test_one_whose_model_failed_is_failed(
    watched: Shim, prefect: StandIn, use: Use, model_server: ModelServer
) -> None:
    use(model_server.target())
    model_server.default = Act(status=400, message="no")
    async with watched.client() as client:
        assert '"status":"failed"' in (await client.post("/api/v1/chat", json=QUESTION)).text
    state, _ = await told(prefect)
    assert state == "FAILED"
    assert prefect.messages[0].startswith("Failed with model_refused.")


async def test_openais_stream_ends_in_the_same_states(
    watched: Shim, prefect: StandIn, use: Use, model_server: ModelServer
) -> None:
    use(model_server.target())
    model_server.default = Act(content=LONG, drip=0.05)
    asked = {"model": "assistant", "stream": True, "messages": [{"role": "user", "content": QUESTION["query"]}]}
    async with watched.client() as client, client.stream("POST", "/v1/chat/completions", json=asked) as response:
        async for line in response.aiter_lines():
            if '"content": "' in line or '"content":"' in line:
                break
    assert (await told(prefect))[0] == "CANCELLED"
