"""A work pool with real workers on it, for the warm worker's tests."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self
from uuid import UUID, uuid4

from prefect import Flow
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import ObjectAlreadyExists
from prefect.workers.process import ProcessWorker

ROOT = Path(__file__).parents[4]
DATA = Path(__file__).parent
WORK = """
import asyncio, json, sys
from deployments.warm import fork_server, serving
from deployments.warm.nursery import Nursery
from deployments.warm.worker import WarmWorker

async def main(pool, nursery, options, modules, first):
    nursery = Nursery(modules, first=first, **json.loads(nursery))
    worker = WarmWorker(work_pool_name=pool, nursery=nursery, **json.loads(options))
    await serving.work(worker, *serving.stop_requests())

_, *how, modules = sys.argv
asyncio.run(main(*how, (modules,), fork_server.branch((modules,))))
"""
LIMIT = 240.0


class Pool:
    """A work pool, its workers, and the folder where its flows leave notes."""

    client: PrefectClient

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self.name = f"pool-{uuid4().hex[:8]}"
        self.notes = folder / "notes"
        self.notes.mkdir()
        self.workers: list[subprocess.Popen[bytes]] = []

    async def reached_by(
        self, client: PrefectClient, kind: str = "process", template: dict[str, Any] | None = None
    ) -> Self:
        self.client = client
        template = template or ProcessWorker.get_default_base_job_template()
        with contextlib.suppress(ObjectAlreadyExists):
            await client.create_work_pool(WorkPoolCreate(name=self.name, type=kind, base_job_template=template))
        return self

    def close(self) -> None:
        for process in self.workers:
            process.kill()
            process.wait()

    def environment(self) -> dict[str, str]:
        path = os.pathsep.join((str(ROOT), str(DATA)))
        ours = {"PREFECT_API_URL": self.url, "PREFECT_HOME": str(self.folder / "home"), "PYTHONPATH": path}
        return {**os.environ, **ours, "WARM_NOTES": str(self.notes), "PREFECT_WORKER_QUERY_SECONDS": "3"}

    def work(
        self, nursery: dict[str, Any] | None = None, modules: str = "warm_sample", **options: Any
    ) -> subprocess.Popen[bytes]:
        return self.run_worker("-c", WORK, self.name, json.dumps(nursery or {}), json.dumps(options), modules)

    def run_worker(self, *arguments: str) -> subprocess.Popen[bytes]:
        log = (self.folder / "worker.log").open("ab")
        command = (sys.executable, *arguments)
        process = subprocess.Popen(command, env=self.environment(), cwd=self.folder, stdout=log, stderr=log)
        self.workers.append(process)
        return process

    async def deploy(self, flow: Flow[..., Any], **options: Any) -> UUID:
        options.setdefault("name", uuid4().hex)
        return await self.client.create_deployment(
            flow_id=await self.client.create_flow(flow),
            entrypoint=f"{flow.fn.__module__}.{flow.fn.__name__}",
            work_pool_name=self.name,
            pull_steps=[],
            parameter_openapi_schema=flow.parameters.model_dump(),
            **options,
        )

    async def start(self, flow: Flow[..., Any], parameters: dict[str, Any] | None = None, **options: Any) -> FlowRun:
        deployment = await self.deploy(flow, **options)
        return await self.client.create_flow_run_from_deployment(deployment, parameters=parameters)

    async def final(self, run: FlowRun, limit: float = LIMIT) -> FlowRun:
        return await self.until(run, lambda now: now.state is not None and now.state.is_final(), limit)

    async def until(self, run: FlowRun, reached: Callable[[FlowRun], bool], limit: float = LIMIT) -> FlowRun:
        async with asyncio.timeout(limit):
            while not reached(now := await self.client.read_flow_run(run.id)):
                await asyncio.sleep(0.2)
        return now

    async def noted(self, name: str) -> str:
        async with asyncio.timeout(LIMIT):
            while not (path := self.notes / name).exists() or not (text := path.read_text()):
                await asyncio.sleep(0.1)
        return text

    async def states(self, run: FlowRun) -> list[str]:
        """Return what the run went through, but for Late, which a busy machine makes of any."""
        passed = [state.name or "" for state in await self.client.read_flow_run_states(run.id)]
        return [name for name in passed if name != "Late"]
