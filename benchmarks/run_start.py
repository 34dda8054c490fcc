"""How fast a deployment's run starts on the warm worker, beside Prefect's own process worker.

    python benchmarks/run_start.py [--runs 7] [--queued 100] [--concurrent 4] [--json FILE]

One Prefect server (SQLite) of its own, as `kowai up` runs it; each worker has a pool, a limit of four runs and
Prefect's default poll.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import httpx
import psutil

HERE = Path(__file__).parent
LIMIT = 4
GAP_SECONDS = 1.0
WORKERS = {
    "warm": (
        "from deployments.warm.nursery import Nursery; from deployments.warm.worker import WarmWorker as Worker; "
        "options = {'nursery': Nursery(('run_start_flows',))}"
    ),
    "stock": "from prefect.workers.process import ProcessWorker as Worker; options = {}",
}
WORK = "import asyncio; {}; asyncio.run(Worker(work_pool_name='{}', limit={}, **options).start())"


class Measured(NamedTuple):
    """What one kind of worker took; seconds, runs per minute, megabytes."""

    first_task_p50: float
    first_task_p95: float
    first_task_all: list[float]
    runs_per_minute: float
    queued: int
    megabytes_idle: float
    megabytes_per_extra_run: float


@contextlib.contextmanager
def prefect_server(home: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    os.environ |= {"PREFECT_HOME": str(home), "PREFECT_API_URL": url, "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    command = (sys.executable, "-m", "uvicorn", "--factory", "deployments.local.prefect_app:create_app")
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen((*command, "--port", str(port)), cwd=HERE.parent, stdout=log, stderr=log)
    while True:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/health", timeout=2).is_success:
                break
        time.sleep(0.2)
    try:
        yield url
    finally:
        process.terminate()
        process.wait(30)


@contextlib.contextmanager
def worker(kind: str, folder: Path) -> Iterator[psutil.Process]:
    path = os.pathsep.join((str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}
    command = (sys.executable, "-c", WORK.format(WORKERS[kind], kind, LIMIT))
    scratch = folder / kind  # the stock worker copies its working directory for every run: give it an empty one
    scratch.mkdir()
    with (folder / f"{kind}.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=scratch, stdout=log, stderr=log)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(60)


async def measure(kind: str, folder: Path, options: argparse.Namespace) -> Measured:
    from prefect.client.orchestration import get_client

    async with get_client() as client:
        light, nap = await deploy(client, kind)
        with worker(kind, folder) as process:
            await first_task(client, light)  # the first run pays for the worker's own start
            starts = sorted([await first_task(client, light) for _ in range(options.runs)])
            idle, extra = await memory(client, process, nap, options.concurrent)
            queued = (options.queued_stock if kind == "stock" else None) or options.queued
            rate = await throughput(client, kind, light, queued)
    p95 = starts[min(len(starts) - 1, round(0.95 * (len(starts) - 1)))]
    return Measured(statistics.median(starts), p95, starts, rate, queued, idle, extra)


async def deploy(client: Any, pool: str) -> list[UUID]:
    import run_start_flows as flows
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.workers.process import ProcessWorker

    template = ProcessWorker.get_default_base_job_template()
    await client.create_work_pool(WorkPoolCreate(name=pool, type="process", base_job_template=template))
    return [
        await client.create_deployment(
            flow_id=await client.create_flow(flow),
            name=pool,
            entrypoint=f"run_start_flows.{flow.fn.__name__}",
            work_pool_name=pool,
            pull_steps=[],
            parameter_openapi_schema=flow.parameters.model_dump(),
        )
        for flow in (flows.light, flows.nap)
    ]


async def first_task(client: Any, deployment: UUID) -> float:
    """Start one run; return the seconds from its creation to the start of its first task."""
    run = await client.create_flow_run_from_deployment(deployment)
    while True:
        await asyncio.sleep(0.2)
        now = await client.read_flow_run(run.id)
        began = await task_start(client, run.id)
        if now.state.is_final() and began is not None:
            await asyncio.sleep(GAP_SECONDS)
            return (began - run.created).total_seconds()


async def task_start(client: Any, run_id: UUID) -> datetime | None:
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    tasks = await client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run_id])))
    return min((task.start_time for task in tasks if task.start_time), default=None)


async def memory(client: Any, process: psutil.Process, nap: UUID, concurrent: int) -> tuple[float, float]:
    """Return the worker's megabytes (PSS, all its processes) when idle, and those of each further run."""
    idle = megabytes(process)
    used: list[float] = []
    runs: list[Any] = []
    for _ in range(concurrent):
        runs.append(await client.create_flow_run_from_deployment(nap, parameters={"seconds": 600}))
        while not (await client.read_flow_run(runs[-1].id)).state.is_running():
            await asyncio.sleep(0.2)
        await asyncio.sleep(2)
        used.append(megabytes(process))
    await cancel(client, runs)
    return idle, (used[-1] - used[0]) / (concurrent - 1)


def megabytes(process: psutil.Process) -> float:
    family = (process, *process.children(recursive=True))
    return sum(each.memory_full_info().pss for each in family) / 1e6


async def cancel(client: Any, runs: list[Any]) -> None:
    from prefect.states import Cancelling

    for run in runs:
        await client.set_flow_run_state(run.id, Cancelling())
    for run in runs:
        while not (await client.read_flow_run(run.id)).state.is_final():
            await asyncio.sleep(0.5)


async def throughput(client: Any, pool: str, light: UUID, queued: int) -> float:
    """Queue runs while the pool is paused, then let go; return runs per minute until the last has ended."""
    from prefect.client.schemas.actions import WorkPoolUpdate

    await client.update_work_pool(pool, WorkPoolUpdate(is_paused=True))
    runs = [await client.create_flow_run_from_deployment(light) for _ in range(queued)]
    began = time.monotonic()
    await client.update_work_pool(pool, WorkPoolUpdate(is_paused=False))
    for run in runs:
        while not (await client.read_flow_run(run.id)).state.is_final():
            await asyncio.sleep(0.5)
    return 60 * queued / (time.monotonic() - began)


def table(results: dict[str, Measured]) -> str:
    rows = [
        ("created -> first task, p50 (s)", "first_task_p50", ".2f"),
        ("created -> first task, p95 (s)", "first_task_p95", ".2f"),
        ("queued light runs per minute", "runs_per_minute", ".0f"),
        ("worker when idle (MB, PSS)", "megabytes_idle", ".0f"),
        ("each further concurrent run (MB, PSS)", "megabytes_per_extra_run", ".0f"),
    ]
    lines = [f"{'':40}" + "".join(f"{kind:>10}" for kind in results)]
    for title, name, form in rows:
        lines.append(f"{title:40}" + "".join(f"{getattr(each, name):>10{form}}" for each in results.values()))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the start of deployment runs, warm beside stock.")
    parser.add_argument("--runs", type=int, default=7, help="single runs per worker")
    parser.add_argument("--queued", type=int, default=100, help="runs in the queue for the throughput")
    parser.add_argument("--queued-stock", type=int, help="fewer for the stock worker, whose rate is steady")
    parser.add_argument("--concurrent", type=int, default=LIMIT, help="concurrent runs for the memory")
    parser.add_argument("--only", choices=WORKERS, help="measure one worker only")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    sys.path.insert(0, str(HERE))
    kinds = [options.only] if options.only else list(WORKERS)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home, prefect_server(Path(home)):
        results = {kind: asyncio.run(measure(kind, Path(home), options)) for kind in kinds}
    print(table(results))
    if options.json:
        machine = {"cores": os.cpu_count(), "load": os.getloadavg(), "python": platform.python_version()}
        figures = {kind: result._asdict() for kind, result in results.items()}
        options.json.write_text(json.dumps({"machine": machine, **figures}, indent=2))


if __name__ == "__main__":
    main()
