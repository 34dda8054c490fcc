"""What Prefect is told about flows that ran in this process."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import structlog

from deployments.shim.prefect_api import PrefectApi, StateType, state
from kowai.errors import KowaiError, Unavailable
from kowai.types import Value
from tasks import outbox
from tasks.endings import find_ending
from tasks.record import close_crashed
from tasks.step import StepRun

log = structlog.get_logger()

KIND = "flow-run"
SWEEP_SECONDS = 15.0
LONGEST_WAIT_SECONDS = 2.0
RETRY_SECONDS = 1.0
STATES: dict[str, StateType] = {"done": "COMPLETED", "refused": "COMPLETED", "failed": "FAILED", "stopped": "CANCELLED"}


class RunRecord(Value):
    """Hold one run's ids, times and outcome: never text. Until it is closed a run in this process reads as crashed."""

    deployment: str
    parameters: Mapping[str, str]
    started_at: datetime
    ended_at: datetime | None = None
    flow_run_id: UUID | None = None
    state: StateType = "CRASHED"
    message: str = "The process that ran this stopped before it could finish."
    steps: tuple[StepRun, ...] = ()

    def summary(self) -> str:
        """Return the outcome with the times at which the run really took place."""
        until = self.ended_at.isoformat() if self.ended_at else "unknown"
        return f"{self.message} Ran in the shim from {self.started_at.isoformat()} until {until}."


async def create(prefect: PrefectApi, subject_id: UUID, record: RunRecord) -> UUID:
    """Create the run in Prefect once: as running, or left for a worker when it is scheduled. Raises Unavailable."""
    running = {"labels": {"kowai.in-process": True, "kowai.started-at": record.started_at.isoformat()}}
    return await prefect.create_run(
        record.deployment,
        parameters=dict(record.parameters),
        idempotency_key=f"{subject_id}:{record.started_at.timestamp()}",
        tags=[f"{name}:{value}" for name, value in record.parameters.items()],
        **({} if record.state == "SCHEDULED" else {**running, "state": state("RUNNING")}),
    )


class Ended(NamedTuple):
    """Hold the record of a run that has ended here, and the task that was creating it in Prefect meanwhile."""

    record: RunRecord
    subject_id: UUID
    tenant_id: UUID
    creation: asyncio.Task[UUID | None] | None

    def entry(self) -> outbox.Entry:
        known = self.creation is not None and self.creation.done() and not self.creation.cancelled()
        noted = {"flow_run_id": self.creation.result()} if known and self.creation else {}
        return outbox.Entry(self.subject_id, self.record.model_copy(update=noted).model_dump(mode="json"))


class Recorder:
    """Keep the records of runs that ended, and deliver them to Prefect one at a time, for as long as it takes.

    An answer waits for neither: until a record is kept, the one that its run began with is in the outbox.
    """

    def __init__(self, prefect: PrefectApi) -> None:
        self._working = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._prefect = prefect
        self._ended: list[Ended] = []
        self._some_ended = asyncio.Event()
        self._kept: asyncio.Queue[tuple[UUID, UUID]] = asyncio.Queue()

    @property
    def is_busy(self) -> bool:
        return self._working > 0

    def begin(self) -> None:
        """Note that a run is under way in this process."""
        self._working += 1
        self._idle.clear()

    def end(self, ended: Ended) -> None:
        """Take over the record of a run that is no longer under way."""
        self._working -= 1
        if not self._working:
            self._idle.set()
        self._ended.append(ended)
        self._some_ended.set()

    async def serve(self) -> None:
        """Keep what ends, tell Prefect when there is time, and sweep the outbox for what was left behind."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keep_on())
                group.create_task(self._tell_on())
        finally:
            await self.keep()

    async def keep(self) -> None:
        """Make the records of ended runs due, a transaction a tenant; those that cannot be kept now stay."""
        for tenant_id in {each.tenant_id for each in self._ended}:
            own = [each for each in self._ended if each.tenant_id == tenant_id]
            try:
                await outbox.put(KIND, [each.entry() for each in own], tenant_id, durable=False)
            except KowaiError as error:
                log.warning("records not kept", runs=len(own), code=error.code)
                continue
            self._ended = [each for each in self._ended if each not in own]
            for each in own:
                self._kept.put_nowait((each.subject_id, tenant_id))

    async def _keep_on(self) -> None:
        while True:
            await self._some_ended.wait()
            self._some_ended.clear()
            await self.keep()
            if self._ended:
                await asyncio.sleep(RETRY_SECONDS)
                self._some_ended.set()

    async def _tell_on(self) -> None:
        while True:
            try:
                async with asyncio.timeout(SWEEP_SECONDS):
                    entries = [await self._kept.get()]
            except TimeoutError:
                entries = await _left_behind()
            for subject_id, tenant_id in entries:
                await self._wait_for_quiet()
                await self.deliver(subject_id, tenant_id)

    async def _wait_for_quiet(self) -> None:
        """Let answers go first: telling Prefect costs it more than answering costs us."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_WAIT_SECONDS):
                await self._idle.wait()

    async def deliver(self, subject_id: UUID, tenant_id: UUID) -> None:
        """Tell Prefect about one entry; when that fails, the entry is put off and delivered by a later sweep."""
        try:
            async with outbox.delivery(subject_id, tenant_id) as held:
                if held is not None:
                    flow_run_id = await self._tell(RunRecord.model_validate(held.payload), subject_id, tenant_id)
                    await outbox.note_run(held.connection, subject_id, flow_run_id)
        except Exception as error:
            log.warning("run not recorded", subject=str(subject_id), error=repr(error))

    async def _tell(self, record: RunRecord, subject_id: UUID, tenant_id: UUID) -> UUID:
        if record.state == "CRASHED":
            record = await _as_it_ended(record, subject_id, tenant_id)
        flow_run_id = record.flow_run_id or await create(self._prefect, subject_id, record)
        if record.state != "SCHEDULED":
            await self._prefect.record_steps(flow_run_id, record.steps)
            await self._prefect.set_state(flow_run_id, record.state, record.summary())
        if record.state == "CRASHED":
            await close_crashed(subject_id, tenant_id, record.message)
        return flow_run_id


async def _as_it_ended(record: RunRecord, subject_id: UUID, tenant_id: UUID) -> RunRecord:
    """Return the record of a run whose process died after it had done its work, as the work's own row tells it."""
    ending = await find_ending(subject_id, tenant_id)
    if ending is None:
        return record
    told: dict[str, Any] = {"state": STATES[ending.status], "ended_at": ending.ended_at}
    return record.model_copy(update=told | {"message": f"It ended as {ending.status}; its steps are not known."})


async def _left_behind() -> list[tuple[UUID, UUID]]:
    try:
        return await outbox.due(KIND)
    except Unavailable:
        return []
