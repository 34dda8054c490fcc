"""Chat goes on without Prefect, and every run is told to it in the end, once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from prefect import flow
from sqlalchemy import insert, update
from sqlmodel import col, select

from blocks.database import Database
from deployments.shim.answers import read_answer
from deployments.shim.prefect_api import PrefectApi
from deployments.shim.recorder import KIND, Recorder, is_time_to_tell
from deployments.shim.runs import Opening, Runs
from kowai.errors import Unavailable
from kowai.tables.ledger import Outbox
from kowai.tables.queries import Query
from tasks import outbox
from tasks.receive import Inquiry, receive_query
from tasks.step import step
from tests.prefect_stand_in import StandIn

LABELS = ["kowai.ended-at", "kowai.in-process", "kowai.started-at"]


@pytest.fixture
async def recorder(prefect: StandIn) -> AsyncIterator[Recorder]:
    api = PrefectApi()
    yield Recorder(api)
    await api.close()


@pytest.fixture
def runs(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> Runs:
    monkeypatch.setattr("deployments.shim.runs.SHOWN_AFTER_SECONDS", 3600.0)
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


async def told(recorder: Recorder, query_id: UUID, tenant: UUID) -> None:
    await recorder.keep()
    await recorder.deliver([query_id], tenant)


async def test_a_run_here_is_a_run_in_prefect_with_its_steps(store, tenant, prefect, recorder, runs) -> None:
    query_id = await make_query(store, tenant)
    timing = await runs.run(succeed, "work/work", tenant_id=tenant, query_id=query_id)
    await told(recorder, query_id, tenant)
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
    await told(recorder, query_id, tenant)
    assert [state for _, state in prefect.states] == ["FAILED"]
    assert prefect.events[0]["payload"]["validated_state"]["message"] == "Failed: unavailable"


async def test_without_prefect_the_work_is_done_and_the_run_told_later(store, tenant, prefect, recorder, runs) -> None:
    prefect.broken = True
    query_id = await make_query(store, tenant)
    await runs.run(succeed, "work/work", tenant_id=tenant, query_id=query_id)
    await told(recorder, query_id, tenant)
    assert (prefect.runs, await undelivered(store, tenant)) == ({}, 1)
    prefect.broken = False
    await make_due(store, tenant)
    await told(recorder, query_id, tenant)
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
    await told(recorder, query_id, tenant)
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
        await told(recorder, query_id, tenant)
    (run,) = prefect.runs.values()
    assert "state" not in run  # scheduled, for a worker
    assert prefect.states == []


async def test_delivering_twice_tells_prefect_once(store, tenant, prefect, recorder, runs) -> None:
    query_id = await make_query(store, tenant)
    await runs.run(succeed, "work/work", tenant_id=tenant, query_id=query_id)
    await recorder.keep()
    await asyncio.gather(*(recorder.deliver([query_id], tenant) for _ in range(5)))
    assert len(prefect.states) == 1


@pytest.mark.parametrize("refuses_many", [False, True])
async def test_many_runs_are_told_by_a_few_calls_and_one_by_one_to_a_prefect_that_takes_no_more(
    store, tenant, prefect, recorder, runs, refuses_many
) -> None:
    prefect.refuses_many = refuses_many
    asked = [await make_query(store, tenant) for _ in range(3)]
    for query_id, flow_ in zip(asked, (succeed, succeed, fail), strict=True):
        with suppress(Unavailable):
            await runs.run(flow_, "work/work", tenant_id=tenant, query_id=query_id)
    await recorder.keep()
    await recorder.deliver(asked, tenant)
    by_query = {run["parameters"]["query_id"]: run for run in prefect.runs.values()}
    ended = [dict(prefect.states)[by_query[str(query_id)]["id"]] for query_id in asked]
    assert ended == ["COMPLETED", "COMPLETED", "FAILED"]
    assert len(prefect.messages) == (3 if refuses_many else 2)
    assert [sorted(run["labels"]) for run in by_query.values()] == [LABELS] * 3
    assert len(prefect.events) == len({event["id"] for event in prefect.events}) == 3
    assert [(await read_answer(each, tenant)).flow_run_id for each in asked] == [
        UUID(by_query[str(each)]["id"]) for each in asked
    ]
    assert await undelivered(store, tenant) == 0


async def test_a_run_that_takes_long_is_seen_in_prefect_while_it_runs_and_is_told_once(
    store, tenant, prefect, recorder, runs, monkeypatch
) -> None:
    monkeypatch.setattr("deployments.shim.runs.SHOWN_AFTER_SECONDS", 0.0)
    query_id, seen = await make_query(store, tenant), []

    @flow(name="work")
    async def take_long(query_id: UUID, tenant_id: UUID) -> None:
        while not prefect.runs:
            await asyncio.sleep(0.01)
        seen.extend(run["state"]["type"] for run in prefect.runs.values())
        await asyncio.gather(*runs._creations)

    await runs.run(take_long, "work/work", tenant_id=tenant, query_id=query_id)
    await told(recorder, query_id, tenant)
    assert (seen, len(prefect.runs)) == (["RUNNING"], 1)
    assert [state for _, state in prefect.states] == ["COMPLETED"]
    assert "Ran in the shim from" in prefect.messages[0]


async def test_an_answer_that_outlived_its_process_is_told_as_completed_with_its_true_end(
    store, tenant, prefect, recorder, runs
) -> None:
    query_id = await make_query(store, tenant)
    await runs.run(succeed, "work/work", tenant_id=tenant, query_id=query_id)
    ended_at = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)
    async with store.transaction(tenant) as connection:
        await connection.execute(update(Query).values(status="done", finished_at=ended_at))
    await make_due(store, tenant)  # the process died before it kept the record: the first one's lease runs out
    await recorder.deliver([query_id], tenant)
    assert [state for _, state in prefect.states] == ["COMPLETED"]
    assert ended_at.isoformat() in prefect.messages[0]
    assert (await read_answer(query_id, tenant)).status == "done"


async def broken(*_: object) -> None:
    raise ZeroDivisionError


async def test_a_question_and_its_record_are_stored_together_or_not_at_all(store, tenant, runs, prefect) -> None:
    opened = Opening("work/work", tenant, datetime.now(UTC))
    query_id = await receive_query(Inquiry("Who?"), tenant, along=opened.along("query_id"))
    assert await undelivered(store, tenant) == 1
    await runs.run(succeed, "work/work", tenant_id=tenant, opened=opened, query_id=query_id)
    assert await undelivered(store, tenant) == 1
    with pytest.raises(ZeroDivisionError):
        await receive_query(Inquiry("What?"), tenant, along=broken)
    async with store.transaction(tenant) as connection:
        assert (await connection.scalars(select(Query.text))).all() == ["Who?"]


async def test_what_ended_is_kept_and_told_while_served_and_kept_when_serving_ends(
    store, tenant, prefect, recorder, runs
) -> None:
    serving = asyncio.create_task(recorder.serve())
    first, last = await make_query(store, tenant), await make_query(store, tenant)
    await runs.run(succeed, "work/work", tenant_id=tenant, query_id=first)
    async with asyncio.timeout(120):
        while not prefect.states:
            await asyncio.sleep(0.01)
    prefect.broken = True
    await runs.run(succeed, "work/work", tenant_id=tenant, query_id=last)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    async with store.transaction(tenant) as connection:
        (payload,) = await connection.scalars(select(Outbox.payload).where(col(Outbox.id) == last))
    assert payload["state"] == "COMPLETED"


@pytest.mark.parametrize(
    ("seconds", "waited", "busy", "rested", "told"),
    [
        pytest.param(0.0, 0.0, 0.0, 0.0, True, id="at once where it costs nothing"),
        pytest.param(0.05, 0.1, 0.1, 0.1, False, id="not between two questions"),
        pytest.param(0.05, 0.5, 0.5, 0.5, True, id="one run after a short quiet"),
        pytest.param(2.0, 3.0, 3.0, 3.0, False, id="not many runs while more questions may come"),
        pytest.param(2.0, 5.0, 5.0, 5.0, True, id="many runs when none has come for a while"),
        pytest.param(2.0, 59.0, 59.0, None, False, id="not in a burst of questions"),
        pytest.param(2.0, 19.0, 80.0, None, False, id="not for more than a tenth of a long one's time"),
        pytest.param(2.0, 20.0, 80.0, None, True, id="for a tenth of a long one's time"),
    ],
)
def test_prefect_is_told_when_it_is_in_nobodys_way(seconds, waited, busy, rested, told) -> None:
    assert is_time_to_tell(seconds, waited=waited, busy=busy, rested=rested) is told


async def test_runs_are_told_all_the_same_while_questions_are_answered_without_end(
    store, tenant, prefect, recorder, runs, monkeypatch
) -> None:
    monkeypatch.setattr("deployments.shim.recorder.LEAST_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr("deployments.shim.recorder.BURST_SECONDS", 0.1)
    recorder.begin()  # and never ends
    serving = asyncio.create_task(recorder.serve())
    await runs.run(succeed, "work/work", tenant_id=tenant, query_id=await make_query(store, tenant))
    async with asyncio.timeout(120):
        while not prefect.states:
            await asyncio.sleep(0.01)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
