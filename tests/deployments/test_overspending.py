"""200 callers at once never spend more than a budget for 50 allows, whichever door they come through."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import cycle
from typing import Any, NamedTuple
from uuid import UUID

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from flows.evaluate import carry_out
from flows.run_personas import run_batch
from kowai.question_sets import read_rows
from kowai.settings import settings
from kowai.suite_formats import read_suite
from kowai.suites import Limits
from tasks.batches import Order, receive_batch
from tasks.evaluations import Trial, receive_evaluation
from tasks.question_sets import receive_question_set
from tasks.step import traced
from tasks.suites import receive_suite
from tests.deployments.conftest import Shim
from tests.model_server import Act, ModelServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CALLERS, AFFORDABLE = 200, 50
MAX_OUTPUT, PRICE = 50, "1000"  # a thousandth of a dollar a token
SAID = "[[ ## found ## ]]\nTrue\n\n[[ ## answer ## ]]\nThree minutes [1].\n\n[[ ## completed ## ]]"
QUESTIONS = [f"How long is green tea number {number:03} steeped?" for number in range(CALLERS)]
Door = Callable[[httpx.AsyncClient, str], Awaitable[str]]


class Spent(NamedTuple):
    """Hold the day's limit and, once the callers are gone, the most that was ever reserved and spent together."""

    limit: Decimal
    highest: list[Decimal]


def rows(url: str, statement: str) -> list[dict[str, Any]]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(statement).fetchall()


@pytest.fixture(autouse=True)
def _many_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOWAI_STREAMS", str(CALLERS))
    monkeypatch.setenv("KOWAI_BATCH_AT_ONCE", "100")


@pytest.fixture
async def budget(
    shim: Shim, use: Callable[..., None], model_server: ModelServer, database_url: str
) -> AsyncGenerator[Spent]:
    """Let the tenant afford 50 answers, each as dear as it can be; see that no more was ever spent."""
    settings.cache_clear()
    target = model_server.target(price=PRICE, max_output_tokens=MAX_OUTPUT)
    use(target, request_limit="5")
    model_server.default = Act(content=SAID)
    async with shim.client() as client:
        (await client.post("/api/v1/query", json={"query": QUESTIONS[0].replace("000", "xxx")})).raise_for_status()
    (call,) = rows(database_url, "select * from model_call")
    worst, before = call["reserved"], call["charged"]
    every_token = {"prompt_tokens": int(worst * 1000) - MAX_OUTPUT, "completion_tokens": MAX_OUTPUT}
    model_server.default = Act(content=SAID, usage=every_token, delay=0.02)
    model_server.asked.clear()
    limit = AFFORDABLE * worst + before
    use(target, request_limit="5", daily_limit=str(limit))
    spent = Spent(limit, [])
    async with watched(database_url, spent):
        yield spent
    (day,) = rows(database_url, "select * from spend")
    assert max(spent.highest) <= limit
    assert (day["reserved"], day["spent"]) == (0, limit)
    assert day["reservations"] == day["settlements"] + day["releases"]
    calls = rows(database_url, "select state, charged from model_call where state <> 'released'")
    assert len(calls) - 1 == len(model_server.asked) == AFFORDABLE


@asynccontextmanager
async def watched(url: str, spent: Spent) -> AsyncGenerator[None]:
    async def watch() -> None:
        while True:
            (day,) = await asyncio.to_thread(rows, url, "select reserved + spent as taken from spend")
            spent.highest.append(day["taken"])
            await asyncio.sleep(0.1)

    watching = asyncio.create_task(watch())
    yield
    watching.cancel()


async def all_at_once(shim: Shim, doors: Sequence[Door]) -> Sequence[str]:
    """Let the callers come through the doors in turn; return how each question ended: done or refused."""
    headers, limits = {"Authorization": f"Bearer {shim.key}"}, httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=shim.url, headers=headers, limits=limits, timeout=300, trust_env=False
    ) as client:
        return await asyncio.gather(*(door(client, question) for door, question in zip(cycle(doors), QUESTIONS)))


def assert_50_were_answered(ended: Sequence[str]) -> None:
    assert sorted(ended) == ["done"] * AFFORDABLE + ["refused"] * (CALLERS - AFFORDABLE)


async def queried(client: httpx.AsyncClient, question: str) -> str:
    answer = (await client.post("/api/v1/query", json={"query": question})).raise_for_status().json()
    assert answer["error"] is None or answer["error"]["code"] == "budget_exhausted"
    return answer["status"]


async def heard(client: httpx.AsyncClient, question: str) -> str:
    told = (await client.post("/api/v1/chat", json={"query": question})).raise_for_status().text
    return json.loads(told.rpartition("event: answer\ndata: ")[2])["status"]


async def completed(client: httpx.AsyncClient, question: str) -> str:
    body = {"model": "assistant", "messages": [{"role": "user", "content": question}]}
    reply = (await client.post("/v1/chat/completions", json=body)).raise_for_status().json()
    return status_of(reply["choices"][0]["message"])


async def streamed(client: httpx.AsyncClient, question: str) -> str:
    body = {"model": "assistant", "messages": [{"role": "user", "content": question}], "stream": True}
    told = (await client.post("/v1/chat/completions", json=body)).raise_for_status().text
    chunks = [json.loads(line[6:]) for line in told.splitlines() if line.startswith("data: {")]
    (last,) = [chunk["choices"][0]["delta"] for chunk in chunks if "spoken_by" in chunk["choices"][0]["delta"]]
    return status_of(last)


def status_of(message: dict[str, Any]) -> str:
    return "done" if message["spoken_by"] == "local" else "refused"


async def test_callers_of_all_routes_at_once_never_overspend(shim: Shim, budget: Spent) -> None:
    assert_50_were_answered(await all_at_once(shim, [queried, heard, completed, streamed]))


async def test_a_batch_never_overspends(shim: Shim, budget: Spent, database_url: str) -> None:
    set_id = await receive_question_set("teas", read_rows(QUESTIONS).questions, shim.tenant)
    batch_id = await receive_batch(Order(set_id, ["assistant"]), shim.tenant)
    with traced():
        await run_batch.fn(batch_id, shim.tenant)
    assert_50_were_answered(states(database_url, batch_id))


async def test_an_evaluation_never_overspends(shim: Shim, budget: Spent, database_url: str) -> None:
    cases = [{"id": f"{number}", "question": question, "facts": ["three"]} for number, question in enumerate(QUESTIONS)]
    suite = read_suite({"teas.yaml": f"name: teas\ncases: {json.dumps(cases)}".encode()}, "teas", "native").suite
    with traced():
        suite_id = await receive_suite(suite, "test", shim.tenant)
        evaluation_id = await receive_evaluation(Trial(suite_id, limits=Limits(dollars=None)), shim.tenant)
        await carry_out(evaluation_id, shim.tenant)
    assert_50_were_answered(states(database_url, evaluation_id))


def states(url: str, batch_id: UUID) -> list[str]:
    return [row["state"] for row in rows(url, f"select state from batch_item where batch_id = '{batch_id}'")]
