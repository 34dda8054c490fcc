"""Start a flow run's process by forking it, and run its hooks the same way."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from uuid import UUID

import anyio
from prefect.settings import get_current_settings

from deployments.warm import internals
from deployments.warm.forks import CannotFork
from deployments.warm.nursery import Nursery, logger
from deployments.warm.protocol import Job

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun, State

    from deployments.warm.internals import Started

HOOK_SECONDS = 60.0
KEEP_SECONDS = 60.0


class Place(NamedTuple):
    """Where a run runs: its flow, environment, working folder, and whether its output is shown."""

    entrypoint: str
    environment: dict[str, str | None]
    folder: str
    quiet: bool

    def job(self, extra: dict[str, str]) -> Job:
        """Lay the job's environment over the worker's, and Prefect's own names over both."""
        ours = get_current_settings().to_environment_variables(exclude_unset=True)
        own = {"PREFECT__ENABLE_CANCELLATION_AND_CRASHED_HOOKS": "false", "PREFECT__FLOW_ENTRYPOINT": self.entrypoint}
        environment = internals.clean_environment({**os.environ, **ours, **self.environment, **own, **extra})
        return Job(self.entrypoint, environment, self.folder, self.quiet)


class ForkStarter:
    """Start one run: Prefect's ProcessStarter."""

    def __init__(self, nursery: Nursery, place: Place, control: Any) -> None:
        self.nursery = nursery
        self.place = place
        self.control = control
        self.forgiven = False
        self.ended = asyncio.Event()

    async def start(self, flow_run: FlowRun, task_status: Started = anyio.TASK_STATUS_IGNORED) -> None:
        """Fork, report the process, return once it has ended; a forgiven end is no crash: the run was handed back."""
        extra = {"PREFECT__FLOW_RUN_ID": str(flow_run.id)}
        extra |= internals.control_environment(self.control, flow_run.id)
        try:
            fork = await self.nursery.fork(self.place.job(extra))
        except BaseException:
            self.control.unregister(flow_run.id)
            raise
        task_status.started(internals.process_handle(fork))
        await fork.wait()
        if self.forgiven:
            fork.returncode = 0
        self.ended.set()


class ForkHooks:
    """Run on_crashed and on_cancellation hooks in forks, so that no user code enters the worker."""

    def __init__(self, nursery: Nursery) -> None:
        self.nursery = nursery
        self.places: dict[UUID, Place] = {}

    def forget(self, run_id: UUID) -> None:
        """Forget an ended run's place, but not before a cancellation's hooks had time to run."""
        asyncio.get_running_loop().call_later(KEEP_SECONDS, self.places.pop, run_id, None)

    async def run_cancellation_hooks(self, flow_run: FlowRun, state: State[Any]) -> None:
        await self._run("cancellation", flow_run, state)

    async def run_crashed_hooks(self, flow_run: FlowRun, state: State[Any]) -> None:
        if state.is_crashed():
            await self._run("crashed", flow_run, state)

    async def _run(self, hook: Literal["crashed", "cancellation"], flow_run: FlowRun, state: State[Any]) -> None:
        place = self.places.get(flow_run.id)
        if place is None:
            return
        job = place.job({"PREFECT__FLOW_RUN_ID": str(flow_run.id)})
        job = job._replace(hook=hook, run=flow_run.model_dump_json(), state=state.model_dump_json())
        try:
            fork = await self.nursery.fork(job)
            await asyncio.wait_for(fork.wait(), HOOK_SECONDS)
        except (CannotFork, TimeoutError) as error:
            logger().warning("The %s hooks of flow run %s did not run: %s", hook, flow_run.id, error)
