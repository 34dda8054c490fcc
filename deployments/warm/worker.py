"""The warm worker: Prefect's process worker, its runs forked from a process that has everything imported."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from typing import Any, NamedTuple, cast
from uuid import UUID

import anyio
import anyio.abc
import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.responses import DeploymentResponse, WorkerFlowRunResponse
from prefect.exceptions import PrefectException
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker, ProcessWorkerResult
from pydantic import PrivateAttr

from deployments.warm import internals, silence, wake, zombies
from deployments.warm.nursery import Nursery, logger
from deployments.warm.reading import RememberingClient
from deployments.warm.starter import ForkHooks, ForkStarter, Place

BREATH_SECONDS = 0.05
RECONCILE_SECONDS = 10.0
HEARTBEAT_SECONDS = 10
FINISH_SECONDS = 5.0
READ_AT_START = ("PYTHON", "LD_", "DYLD_", "OMP_", "OPENBLAS_", "MKL_")


class WarmJobConfiguration(ProcessJobConfiguration):
    """A process job that knows whether a fork can do it."""

    _entrypoint: str | None = PrivateAttr(default=None)

    @property
    def entrypoint(self) -> str | None:
        """The flow's module path; None when the job needs an interpreter, a checkout or a command of its own."""
        return self._entrypoint

    def prepare_for_flow_run(
        self, flow_run: FlowRun, deployment: DeploymentResponse | None = None, *args: Any, **options: Any
    ) -> None:
        own_interpreter = any(name.startswith(READ_AT_START) and name != "PYTHONPATH" for name in self.env)
        if deployment is not None and self.command is None and not own_interpreter:
            self._entrypoint = module_path(deployment)
        super().prepare_for_flow_run(flow_run, deployment, *args, **options)


def module_path(deployment: DeploymentResponse) -> str | None:
    """Return the entrypoint of a deployment whose code is installed here, else None."""
    fetched = deployment.pull_steps or deployment.storage_document_id or deployment.path not in (None, "", ".")
    entrypoint = deployment.entrypoint
    return None if fetched or entrypoint is None or ":" in entrypoint else entrypoint


class WarmWorker(ProcessWorker):
    """Take runs when they are due, fork them, close what dead workers left, and hand back what it cannot finish."""

    job_configuration = WarmJobConfiguration

    def __init__(self, work_pool_name: str, *, nursery: Nursery | None = None, **options: Any) -> None:
        options = {"name": zombies.worker_name(), "heartbeat_interval_seconds": HEARTBEAT_SECONDS} | options
        super().__init__(work_pool_name, **options)
        self.pool_name = work_pool_name
        self.nursery = nursery or Nursery()
        self.hooks = ForkHooks(self.nursery)
        self.running: dict[UUID, ForkStarter | None] = {}
        self.draining = False
        self._reading: tuple[PrefectClient, PrefectClient] | None = None
        self._due = asyncio.Event()
        self._asking = asyncio.Lock()

    @classmethod
    def __dispatch_key__(cls) -> str | None:
        return "process-warm"  # the stock worker stays the one that Prefect finds under the type "process"

    async def start(self, *args: Any, **options: Any) -> None:
        """Serve the pool; see BaseWorker.start."""
        async with anyio.create_task_group() as beside:
            beside.start_soon(wake.listen, self.pool_name, self._due.set)
            beside.start_soon(self._answer)
            beside.start_soon(self._reconcile)
            await super().start(*args, **options)
            beside.cancel_scope.cancel()

    @property
    def client(self) -> PrefectClient:
        plain = super().client
        if self._reading is None or self._reading[0] is not plain:
            self._reading = (plain, cast(PrefectClient, RememberingClient(plain)))
        return self._reading[1]

    async def __aenter__(self) -> WarmWorker:
        internals.retry_soon()
        self._context = await internals.enter_executor_context()
        await self.nursery.warm()
        await super().__aenter__()
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        try:
            await super().__aexit__(*exc_info)
        finally:
            await self._context.__aexit__(*exc_info)
            await self.nursery.close()

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """Take the runs that are due; none once draining."""
        async with self._asking:
            return [] if self.draining else await super().get_and_submit_flow_runs()

    async def _get_scheduled_flow_runs(self) -> list[WorkerFlowRunResponse]:
        """Leave out runs that are due again while their last process is still on its way out."""
        due = await super()._get_scheduled_flow_runs()
        return [entry for entry in due if entry.flow_run.id not in self.running]

    async def _submit_run(self, flow_run: FlowRun) -> None:
        """Start a run; what goes wrong ends neither the worker nor, as in Prefect, keeps the slot for ever."""
        try:
            await super()._submit_run(flow_run)
        except Exception as error:
            logger().warning("Flow run %s could not be taken and is due again: %s", flow_run.id, error)
        if flow_run.id not in self.running:
            internals.give_back(self, flow_run.id)

    async def run(
        self,
        flow_run: FlowRun,
        configuration: ProcessJobConfiguration,
        task_status: anyio.abc.TaskStatus[int] | None = None,
    ) -> ProcessWorkerResult:
        """Fork the run and wait for its end; start it as a plain subprocess where a fork cannot do."""
        self.running[flow_run.id] = None
        entrypoint = configuration.entrypoint if isinstance(configuration, WarmJobConfiguration) else None
        try:
            if entrypoint is None or not await self.nursery.warm():
                return await super().run(flow_run, configuration, task_status)
            return await self._fork(flow_run, configuration, entrypoint, task_status or anyio.TASK_STATUS_IGNORED)
        finally:
            self.running.pop(flow_run.id, None)
            self._due.set()  # a slot is free

    async def _fork(
        self,
        flow_run: FlowRun,
        configuration: ProcessJobConfiguration,
        entrypoint: str,
        task_status: anyio.abc.TaskStatus[int],
    ) -> ProcessWorkerResult:
        with tempfile.TemporaryDirectory(prefix="kowai-run-", ignore_cleanup_errors=True) as scratch:
            folder = str(configuration.working_dir or scratch)
            place = Place(entrypoint, configuration.env, folder, not configuration.stream_output)
            starter = ForkStarter(self.nursery, place, self._context.control_channel)
            self.hooks.places[flow_run.id], self.running[flow_run.id] = place, starter
            executor = internals.executor(self._context, flow_run, starter, self.hooks)
            try:
                execution = await executor.submit(task_status=Started(task_status))
            finally:
                self.hooks.forget(flow_run.id)
        if execution is None or execution.status_code is None:
            raise RuntimeError("The flow run's process did not start.")
        return ProcessWorkerResult(status_code=execution.status_code, identifier=str(execution.handle.pid))

    async def drain(self, hurry: asyncio.Event) -> None:
        """Take nothing more, wait a little for what runs, then hand back or end what is left, and sign off."""
        self.draining = True
        with anyio.move_on_after(FINISH_SECONDS):
            while (self.running or internals.submitting(self)) and not hurry.is_set():  # noqa: ASYNC110
                await anyio.sleep(0.1)  # Prefect says nothing when the last submission is through
        left = {run_id: starter for run_id, starter in self.running.items() if starter is not None}
        await asyncio.gather(*(self._give_up(run_id, starter) for run_id, starter in left.items()))
        await self._sign_off()

    async def _sign_off(self) -> None:
        """Remove the worker's record, which would count as online until its heartbeats are missed."""
        mine = {"work_pool_name": self._work_pool_name, "name": self.name}
        with contextlib.suppress(httpx.HTTPError, PrefectException):
            await self.client.request("DELETE", "/work_pools/{work_pool_name}/workers/{name}", path_params=mine)

    async def _give_up(self, run_id: UUID, starter: ForkStarter) -> None:
        run = await self.client.read_flow_run(run_id)
        if run.state is None or run.state.is_final():
            return
        state = zombies.after_loss(run)
        starter.forgiven = state.is_scheduled()
        if not await internals.stop_run(self._context, run_id, silently=starter.forgiven):
            return
        with anyio.move_on_after(FINISH_SECONDS):
            await starter.ended.wait()
        if starter.forgiven:
            await self.client.set_flow_run_state(run_id, state)

    async def _answer(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            if self.is_setup:
                try:
                    await self.get_and_submit_flow_runs()
                except Exception as error:  # the poll will ask again
                    logger().warning("Prefect does not say which runs are due: %s", error)
            await anyio.sleep(BREATH_SECONDS)

    async def _reconcile(self) -> None:
        while True:
            if self.is_setup and not self.draining:
                try:
                    await self.nursery.warm()  # code that has changed is imported before a run has to wait for it
                    await zombies.close_zombies(self.client, self.pool_name, self.name, self._closed, self._at_work)
                    await silence.end_outlived(self.client, self.running, self._end)
                except Exception as error:  # the next round will try again
                    logger().warning("Runs of lost workers stay open for now: %s", error)
            await anyio.sleep(RECONCILE_SECONDS if self.is_setup else BREATH_SECONDS)

    def _at_work(self) -> set[UUID]:
        return {*self.running, *internals.submitting(self)}

    async def _end(self, run_id: UUID) -> None:
        await internals.end_process(self._context, run_id)

    async def _closed(self, run: FlowRun, state: State[Any]) -> None:
        """Run the hooks of a run whose worker could not."""
        if state.is_scheduled():
            return
        configuration = await WarmJobConfiguration.resolve_for_flow_run(
            run, client=self.client, work_pool=self.work_pool, worker_name=self.name
        )
        if configuration.entrypoint is None:
            return
        with tempfile.TemporaryDirectory(prefix="kowai-hook-", ignore_cleanup_errors=True) as folder:
            self.hooks.places[run.id] = Place(configuration.entrypoint, configuration.env, folder, quiet=False)
            hook = self.hooks.run_crashed_hooks if state.is_crashed() else self.hooks.run_cancellation_hooks
            await hook(run, state)
            del self.hooks.places[run.id]


class Started(NamedTuple):
    """Tell the worker the process id as soon as the executor knows the process."""

    outer: anyio.abc.TaskStatus[int]

    def started(self, value: Any = None) -> None:
        self.outer.started(value.pid)
