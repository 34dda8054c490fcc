"""Chat goes on without Prefect, and every run is told to it in the end, once."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest
import uvicorn
from fastapi import FastAPI, Request, Response
from prefect import flow
from sqlalchemy import insert, update
from sqlmodel import col, select

from blocks.database import Database
from deployments.shim.answers import read_answer
from deployments.shim.prefect_api import PrefectApi
from deployments.shim.records import KIND, Recorder
from deployments.shim.runs import Runs
from kowai.errors import Unavailable
from kowai.tables.ledger import Outbox
from kowai.tables.queries import Query
from tasks import outbox
from tasks.step import step


class StandIn:
    """Stand in for Prefect's REST API over real HTTP: remembers what it was told, and can be out of order."""

    def __init__(self) -> None:
        self.broken = False
        self.runs: dict[str, dict[str, Any]] = {}
        self.states: list[tuple[str, str]] = []
        self.events: list[dict[str, Any]] = []
        self.app = FastAPI()
        self.app.middleware("http")(self._maybe_broken)
        self.app.get("/deployments/name/{flow}/{name}")(lambda flow, name: {"id": str(uuid4())})
        self.app.post("/deployments/{deployment_id}/create_flow_run")(self._create)
        self.app.post("/flow_runs/{run_id}/set_state")(self._set_state)
        self.app.post("/events")(self._record)

    async def _maybe_broken(self, request: Request, call_next: Any) -> Response:
        return Response(status_code=500) if self.broken else await call_next(request)

    async def _create(self, request: Request) -> dict[str, Any]:
        body = await request.json()
        return self.runs.setdefault(body["idempotency_key"], {"id": str(uuid4()), **body})

    async def _set_state(self, run_id: str, request: Request) -> dict[str, Any]:
        self.states.append((run_id, (await request.json())["state"]["type"]))
        return {}

    async def _record(self, request: Request) -> None:
        self.events += await request.json()


@pytest.fixture
async def prefect(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[StandIn]:
    stand_in = StandIn()
    server = uvicorn.Server(uvicorn.Config(stand_in.app, port=0, log_level="warning", ws="none"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{port}")
    yield stand_in
    server.should_exit = True
    await serving


@pytest.fixture
async def recorder(prefect: StandIn) -> AsyncIterator[Recorder]:
    api = PrefectApi()
    yield Recorder(api)
    await api.close()


@pytest.fixture
def runs(recorder: Recorder) -> Runs:
    return Runs(recorder._prefect, recorder)


@step
async def work(fails: bool) -> None:
    if fails:
        raise Unavailable("The machine is tired.")


@flow(name="work")
async def succeed(query_id: UUID, tenant_id: UUID) -> None:
    await work(False)


@flow(name="work")
async def fail(query_id: UUID, tenant_id: UUID) -> None:
    await work(True)


async def make_query(store: Database, tenant: UUID) -> UUID:
    query_id = uuid4()
    async with store.transaction(tenant) as connection:
        asked = {"text": "Who?", "standalone": "Who?", "persona": "assistant"}
        row = asked | {"id": query_id, "tenant_id": tenant, "status": "running"}
        await connection.execute(insert(Query).values(row))
    return query_id


async def undelivered(store: Database, tenant: UUID) -> int:
    async with store.transaction(tenant) as connection:
        return len((await connection.scalars(select(Outbox.id).where(col(Outbox.delivered_at).is_(None)))).all())


async def make_due(store: Database, tenant: UUID) -> None:
    async with store.transaction(tenant) as connection:
        await connection.execute(update(Outbox).values(due_at=col(Outbox.created_at)))


async def test_a_run_here_is_a_run_in_prefect_with_its_steps(store, tenant, prefect, recorder, runs) -> None:
    query_id = await make_query(store, tenant)
    timing = await runs.run(succeed, "work/work", tenant_id=tenant, query_id=query_id)
    await recorder.deliver(query_id, tenant)
    (run,) = prefect.runs.values()
    assert run["parameters"] == {"query_id": str(query_id), "tenant_id": str(tenant)}
    assert prefect.states == [(run["id"], "COMPLETED")]
    assert [event["event"] for event in prefect.events] == ["prefect.task-run.Completed"]
    assert (await read_answer(query_id, tenant)).flow_run_id == UUID(run["id"])
    assert timing.startswith("flow;dur=")


async def test_a_run_that_broke_is_told_as_failed_with_its_code(store, tenant, prefect, recorder, runs) -> None:
    query_id = await make_query(store, tenant)
    with pytest.raises(Unavailable):
        await runs.run(fail, "work/work", tenant_id=tenant, query_id=query_id)
    await recorder.deliver(query_id, tenant)
    assert [state for _, state in prefect.states] == ["FAILED"]
    assert prefect.events[0]["payload"]["validated_state"]["message"] == "Failed: unavailable"


async def test_without_prefect_the_work_is_done_and_the_run_told_later(store, tenant, prefect, recorder, runs) -> None:
    prefect.broken = True
    query_id = await make_query(store, tenant)
    await runs.run(succeed, "work/work", tenant_id=tenant, query_id=query_id)
    await recorder.deliver(query_id, tenant)
    assert (prefect.runs, await undelivered(store, tenant)) == ({}, 1)
    prefect.broken = False
    await make_due(store, tenant)
    await recorder.deliver(query_id, tenant)
    assert (len(prefect.runs), await undelivered(store, tenant)) == (1, 0)


async def test_a_run_whose_process_died_is_told_as_crashed_and_its_question_failed(
    store, tenant, prefect, recorder, runs
) -> None:
    query_id = await make_query(store, tenant)

    @flow(name="work")
    async def die(query_id: UUID, tenant_id: UUID) -> None:
        await asyncio.sleep(3600)

    dying = asyncio.create_task(runs.run(die, "work/work", tenant_id=tenant, query_id=query_id))
    while not await undelivered(store, tenant):
        await asyncio.sleep(0.01)
    await make_due(store, tenant)  # as if its lease had run out
    assert await outbox.due(KIND) == [(query_id, tenant)]
    await recorder.deliver(query_id, tenant)
    assert [state for _, state in prefect.states] == ["CRASHED"]
    answer = await read_answer(query_id, tenant)
    assert answer.status == "failed"
    assert answer.error
    assert answer.error.code == "crashed"
    dying.cancel()


async def test_what_is_left_to_a_worker_is_started_once_even_if_prefect_was_away(
    store, tenant, prefect, recorder, runs
) -> None:
    prefect.broken = True
    query_id = await make_query(store, tenant)
    await runs.start("work/work", tenant_id=tenant, query_id=query_id)
    prefect.broken = False
    for _ in range(2):
        await make_due(store, tenant)
        await recorder.deliver(query_id, tenant)
    (run,) = prefect.runs.values()
    assert "state" not in run  # scheduled, for a worker
    assert prefect.states == []


async def test_delivering_twice_tells_prefect_once(store, tenant, prefect, recorder, runs) -> None:
    query_id = await make_query(store, tenant)
    await runs.run(succeed, "work/work", tenant_id=tenant, query_id=query_id)
    await asyncio.gather(*(recorder.deliver(query_id, tenant) for _ in range(5)))
    assert len(prefect.states) == 1
