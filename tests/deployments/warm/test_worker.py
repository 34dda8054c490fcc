"""The warm worker against a real Prefect server: real forks, real signals, real states."""

import asyncio
import os
import signal
import subprocess
from itertools import pairwise
from typing import Any

import psutil
import pytest
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelling
from warm_pool import LIMIT, Pool  # pyright: ignore[reportMissingImports]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing can be forked here"),
]


def children(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def fork_servers(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children()


def state(run: FlowRun) -> str | None:
    return run.state.name if run.state else None


def running(run: FlowRun) -> bool:
    return run.state is not None and run.state.is_running()


def begun(run: FlowRun) -> bool:
    return run.start_time is not None


async def test_each_run_is_a_fork_with_its_own_environment_and_randomness(served: Pool, flows: Any) -> None:
    runs = [await served.start(flows.light, job_variables={"env": {"SPECIAL": f"value-{n}"}}) for n in range(2)]
    assert [state(await served.final(run)) for run in runs] == ["Completed", "Completed"]
    seen = [line.split() for line in (await served.noted("see")).splitlines()]
    environments, randoms, parents = zip(*seen, strict=True)
    assert set(environments) == {"value-0", "value-1"}
    assert len(set(randoms)) == 2
    assert set(parents) <= {str(child.pid) for child in fork_servers(served.workers[0])}
    assert await served.states(runs[0]) == ["Scheduled", "Pending", "Submitting", "Running", "Completed"]


async def test_a_forked_run_sends_its_logs(served: Pool, flows: Any) -> None:
    run = await served.final(await served.start(flows.light))
    wanted = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run.id]))
    async with asyncio.timeout(LIMIT):
        while not any("Finished in state" in log.message for log in await served.client.read_logs(wanted)):
            await asyncio.sleep(0.2)


async def test_a_run_in_a_blocking_call_is_cancelled_and_its_hook_runs(served: Pool, flows: Any) -> None:
    run = await served.start(flows.block)
    await served.noted("blocking")
    await served.client.set_flow_run_state(run.id, Cancelling())
    assert state(await served.final(run)) == "Cancelled"
    assert await served.noted("cancelled") == "Cancelling"


async def test_a_run_whose_process_dies_is_crashed_and_its_hook_runs(served: Pool, flows: Any) -> None:
    assert state(await served.final(await served.start(flows.crash))) == "Crashed"
    assert await served.noted("crashed") == "Crashed"


async def test_a_failing_run_is_retried_in_its_process(served: Pool, flows: Any) -> None:
    assert state(await served.final(await served.start(flows.stumble))) == "Completed"
    assert await served.noted("stumbles") == "xx"


async def test_a_job_that_needs_an_interpreter_of_its_own_runs_as_a_plain_subprocess(served: Pool, flows: Any) -> None:
    run = await served.start(flows.alone, job_variables={"env": {"PYTHONHASHSEED": "1"}})
    assert state(await served.final(run)) == "Completed"
    parent = await served.noted("alone")
    assert parent == str(served.workers[0].pid)


async def test_a_stopped_worker_finishes_what_ends_soon_hands_back_the_repeatable_and_crashes_the_rest(
    pool: Pool, flows: Any
) -> None:
    worker = pool.work()
    safe = await pool.start(flows.nap, {"seconds": 300}, tags=["repeatable"])
    unsafe = await pool.start(flows.nap, {"seconds": 300})
    for run in (safe, unsafe):
        await pool.until(run, running)
    short = await pool.start(flows.nap, {"seconds": 1})
    await pool.until(short, begun)
    worker.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait, LIMIT) == 0
    ends = [state(await pool.client.read_flow_run(run.id)) for run in (short, safe, unsafe)]
    assert ends == ["Completed", "AwaitingRetry", "Crashed"]
    assert await pool.client.read_workers_for_work_pool(pool.name) == []


async def test_the_runs_of_a_killed_worker_end_with_it_and_are_repeated_or_crashed(pool: Pool, flows: Any) -> None:
    worker = pool.work()
    safe = await pool.start(flows.doze, tags=["repeatable"])
    unsafe = await pool.start(flows.nap, {"seconds": 300})
    for run in (safe, unsafe):
        await pool.until(run, running)
    await pool.noted("dozes")
    family = children(worker)
    worker.kill()
    worker.wait()
    assert not psutil.wait_procs(family, timeout=LIMIT)[1]
    pool.work()
    assert state(await pool.final(unsafe)) == "Crashed"
    assert state(await pool.final(safe)) == "Completed"
    assert "AwaitingRetry" in await pool.states(safe)


async def test_the_end_of_the_fork_server_crashes_its_runs_and_the_next_run_finds_another(
    pool: Pool, flows: Any
) -> None:
    worker = pool.work()
    run = await pool.start(flows.nap, {"seconds": 300})
    await pool.until(run, running)
    for server in fork_servers(worker):
        server.kill()
    assert state(await pool.final(run)) == "Crashed"
    assert state(await pool.final(await pool.start(flows.parent))) == "Completed"


async def test_the_limit_holds_while_worn_fork_servers_are_replaced(pool: Pool, flows: Any) -> None:
    pool.work({"most_forks": 1}, limit=1)
    runs = [await pool.start(flows.parent) for _ in range(4)]
    ends = [await pool.final(run) for run in runs]
    spans = sorted((run.start_time, run.end_time) for run in ends if run.start_time and run.end_time)
    assert len(spans) == 4
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    async with asyncio.timeout(LIMIT):
        while len(set((await pool.noted("parents")).split())) == 1:
            await pool.final(await pool.start(flows.parent))
