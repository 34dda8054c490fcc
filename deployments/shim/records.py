"""What Prefect is told about flows that ran in this process."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from uuid import UUID

import structlog

from deployments.shim.prefect_api import PrefectApi, StateType, state
from kowai.errors import Unavailable
from kowai.types import Value
from tasks import outbox
from tasks.record import close_crashed
from tasks.step import StepRun

log = structlog.get_logger()

KIND = "flow-run"
SWEEP_SECONDS = 15.0
LONGEST_WAIT_SECONDS = 2.0


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


class Recorder:
    """Deliver records from the outbox to Prefect, one at a time, for as long as it takes."""

    def __init__(self, prefect: PrefectApi) -> None:
        self._working = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._prefect = prefect
        self._fresh: asyncio.Queue[tuple[UUID, UUID]] = asyncio.Queue()

    @property
    def is_busy(self) -> bool:
        return self._working > 0

    def begin(self) -> None:
        """Note that a run is under way in this process."""
        self._working += 1
        self._idle.clear()

    def end(self) -> None:
        self._working -= 1
        if not self._working:
            self._idle.set()

    def announce(self, subject_id: UUID, tenant_id: UUID) -> None:
        self._fresh.put_nowait((subject_id, tenant_id))

    async def serve(self) -> None:
        """Deliver what is announced at once, and sweep the outbox for what was left behind."""
        while True:
            try:
                async with asyncio.timeout(SWEEP_SECONDS):
                    entries = [await self._fresh.get()]
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
            async with outbox.delivery(subject_id, tenant_id) as payload:
                if payload is not None:
                    await self._tell(RunRecord.model_validate(payload), subject_id, tenant_id)
        except Exception as error:
            log.warning("run not recorded", subject=str(subject_id), error=repr(error))

    async def _tell(self, record: RunRecord, subject_id: UUID, tenant_id: UUID) -> None:
        flow_run_id = record.flow_run_id or await create(self._prefect, subject_id, record)
        if record.state != "SCHEDULED":
            await self._prefect.record_steps(flow_run_id, record.steps)
            await self._prefect.set_state(flow_run_id, record.state, record.summary())
        if record.state == "CRASHED":
            await close_crashed(subject_id, tenant_id, record.message)
        await outbox.note_run(subject_id, tenant_id, flow_run_id)


async def _left_behind() -> list[tuple[UUID, UUID]]:
    try:
        return await outbox.due(KIND)
    except Unavailable:
        return []
