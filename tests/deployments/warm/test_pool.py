"""What a work pool promises, kept by the warm worker as by Prefect's own: limits, priorities, results, heartbeats."""

import asyncio
import os
import signal
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

import psutil
import pytest
from prefect.client.schemas.actions import WorkPoolUpdate
from prefect.client.schemas.objects import FlowRun
from prefect.events import emit_event
from warm_pool import LIMIT, Pool  # pyright: ignore[reportMissingImports]

from deployments.warm import silence

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing can be forked here"),
]


async def ended(pool: Pool, runs: Sequence[FlowRun]) -> list[FlowRun]:
    return [await pool.final(run) for run in runs]


def began(run: FlowRun) -> datetime:
    assert run.start_time
    return run.start_time


def one_by_one(runs: Sequence[FlowRun]) -> bool:
    spans = sorted((run.start_time, run.end_time) for run in runs if run.start_time and run.end_time)
    return len(spans) == len(runs) and all(before[1] <= after[0] for before, after in pairwise(spans))


async def test_a_pools_limit_holds_and_every_run_has_its_turn(pool: Pool, flows: Any) -> None:
    await pool.client.update_work_pool(pool.name, WorkPoolUpdate(concurrency_limit=1))
    runs = [await pool.start(flows.parent) for _ in range(3)]
    pool.work()
    assert one_by_one(await ended(pool, runs))


async def test_a_queues_limit_holds_while_other_queues_go_on(pool: Pool, flows: Any) -> None:
    await pool.client.create_work_queue("narrow", work_pool_name=pool.name, concurrency_limit=1)
    narrow = [await pool.start(flows.parent, work_queue_name="narrow") for _ in range(2)]
    free = [await pool.start(flows.meet) for _ in range(2)]
    pool.work()
    assert one_by_one(await ended(pool, narrow))
    assert all(run.state and run.state.is_completed() for run in await ended(pool, free))


async def test_runs_of_a_queue_that_goes_first_are_taken_before_older_ones(pool: Pool, flows: Any) -> None:
    for priority, name in enumerate(("urgent", "later"), start=1):
        await pool.client.create_work_queue(name, work_pool_name=pool.name, priority=priority)
    later = [await pool.start(flows.parent, work_queue_name="later") for _ in range(2)]
    urgent = [await pool.start(flows.parent, work_queue_name="urgent") for _ in range(2)]
    pool.work(limit=1)
    first, last = await ended(pool, urgent), await ended(pool, later)
    assert max(run.start_time for run in first if run.start_time) < min(
        run.start_time for run in last if run.start_time
    )


async def test_a_persisted_result_is_read_by_others(served: Pool, flows: Any) -> None:
    results = {"env": {"PREFECT_LOCAL_STORAGE_PATH": str(served.folder / "results")}}
    run = await served.final(await served.start(flows.keep, {"number": 41}, job_variables=results))
    assert run.state is not None
    assert await run.state.result() == {"number": 42}


async def test_a_failing_task_is_retried_without_the_others(served: Pool, flows: Any) -> None:
    run = await served.final(await served.start(flows.climb))
    assert run.state is not None
    assert run.state.is_completed()
    assert await served.noted("climb") == "base slip top"


async def test_a_fork_server_that_has_grown_too_large_is_replaced(pool: Pool, flows: Any) -> None:
    pool.work({"most_megabytes": 1})
    async with asyncio.timeout(LIMIT):
        await pool.final(await pool.start(flows.parent))
        while len(set((await pool.noted("parents")).split())) == 1:
            await pool.final(await pool.start(flows.parent))


async def test_the_other_worker_of_the_pool_takes_up_what_a_killed_one_leaves(pool: Pool, flows: Any) -> None:
    first = pool.work()
    run = await pool.start(flows.doze, tags=["repeatable"])
    await pool.noted("dozes")
    pool.work()
    async with asyncio.timeout(LIMIT):
        while len(await pool.client.read_workers_for_work_pool(pool.name)) < 2:
            await asyncio.sleep(0.2)
    first.kill()
    first.wait()
    assert (await pool.final(run)).run_count == 2
    assert await pool.noted("dozes") == "xx"


async def test_a_run_that_stops_beating_is_crashed_its_process_ended_and_repeated_when_safe(
    pool: Pool, flows: Any
) -> None:
    await silence.watch_heartbeats(pool.client, silent_seconds=10)
    await silence.watch_heartbeats(pool.client)
    assert len(await pool.client.read_automations_by_name(silence.NAME)) == 1, "made once, then left alone"
    pool.work()
    run = await pool.start(flows.doze, tags=["repeatable"])
    await pool.noted("dozes")
    at_work = await pool.until(run, lambda now: bool(now.infrastructure_pid))
    process = psutil.Process(int(at_work.infrastructure_pid or 0))
    process.send_signal(signal.SIGSTOP)
    emit_event(silence.BEAT, {"prefect.resource.id": f"prefect.flow-run.{run.id}"})
    now = await pool.until(run, lambda now: bool(now.state and now.state.is_completed()))
    assert now.run_count == 2
    assert {"Crashed", "AwaitingRetry"} <= set(await pool.states(run))
    assert not process.is_running()
