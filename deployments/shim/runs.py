"""Flows that run warm in this process, and flows handed to their deployment."""

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from prefect import Flow

from deployments.shim.prefect_api import PrefectApi
from deployments.shim.records import KIND, Recorder, RunRecord, create
from kowai.errors import KowaiError, Unavailable
from tasks import outbox
from tasks.step import traced

LEASE_SECONDS = 900.0
PATIENCE_SECONDS = 0.05


class Runs:
    """Run flows on a stored subject: the one keyword besides `tenant_id`, named as the flow's parameter."""

    def __init__(self, prefect: PrefectApi, recorder: Recorder) -> None:
        self._prefect = prefect
        self._recorder = recorder
        self._creations: set[asyncio.Task[UUID | None]] = set()

    async def run(self, flow: Flow[..., Any], deployment: str, *, tenant_id: UUID, **subject: UUID) -> str:
        """Run `flow` here; its record is in the outbox before it starts, so that a crash cannot hide it.

        Returns a Server-Timing value (W3C): milliseconds spent in the flow, and in recording it for Prefect.
        """
        began = time.perf_counter()
        (subject_id,) = subject.values()
        record = RunRecord(
            deployment=deployment, parameters=_parameters(subject, tenant_id), started_at=datetime.now(UTC)
        )
        payload = record.model_dump(mode="json")
        await outbox.put(KIND, subject_id, tenant_id, payload, delay_seconds=LEASE_SECONDS, durable=False)
        creation = self._begin(subject_id, record)
        self._recorder.begin()
        started = time.perf_counter()
        outcome: dict[str, Any] = {"state": "COMPLETED", "message": "All states completed."}
        with traced() as trace:
            try:
                await flow.fn(tenant_id=tenant_id, **subject)
            except asyncio.CancelledError:
                outcome = {"state": "CANCELLED", "message": "Nobody waited for it any more."}
                raise
            except BaseException as error:
                outcome = {"state": "FAILED", "message": f"Failed with {_code(error)}."}
                raise
            finally:
                self._recorder.end()
                ended = time.perf_counter()
                outcome |= {"ended_at": datetime.now(UTC), "steps": tuple(trace.steps)}
                await asyncio.shield(self._close(record.model_copy(update=outcome), creation, subject_id, tenant_id))
        recording = started - began + time.perf_counter() - ended
        return f"flow;dur={1000 * (ended - started):.1f}, prefect;dur={1000 * recording:.1f}"

    async def start(self, deployment: str, *, tenant_id: UUID, **subject: UUID) -> None:
        """Hand the subject to the deployment's work pool, through the outbox: accepted is never forgotten."""
        (subject_id,) = subject.values()
        record = RunRecord(
            deployment=deployment,
            parameters=_parameters(subject, tenant_id),
            started_at=datetime.now(UTC),
            state="SCHEDULED",
        )
        await outbox.put(KIND, subject_id, tenant_id, record.model_dump(mode="json"))
        await self._recorder.deliver(subject_id, tenant_id)

    def _begin(self, subject_id: UUID, record: RunRecord) -> asyncio.Task[UUID | None] | None:
        """Create the run in Prefect beside the work, unless there is other work: then it is recorded later."""
        if self._recorder.is_busy or self._creations:
            return None

        async def attempt() -> UUID | None:
            with suppress(Unavailable):
                return await create(self._prefect, subject_id, record)

        creation = asyncio.create_task(attempt())
        self._creations.add(creation)
        creation.add_done_callback(self._creations.discard)
        return creation

    async def _close(
        self, record: RunRecord, creation: asyncio.Task[UUID | None] | None, subject_id: UUID, tenant_id: UUID
    ) -> None:
        """Make the finished record due, with the run's id in Prefect if that came back in time."""
        if creation is not None:
            with suppress(TimeoutError):
                flow_run_id = await asyncio.wait_for(asyncio.shield(creation), PATIENCE_SECONDS)
                record = record.model_copy(update={"flow_run_id": flow_run_id})
        await outbox.put(KIND, subject_id, tenant_id, record.model_dump(mode="json"), durable=False)
        if record.flow_run_id is not None:
            await outbox.note_run(subject_id, tenant_id, record.flow_run_id)
        self._recorder.announce(subject_id, tenant_id)


def _parameters(subject: dict[str, UUID], tenant_id: UUID) -> dict[str, str]:
    return {name: str(value) for name, value in {**subject, "tenant_id": tenant_id}.items()}


def _code(error: BaseException) -> str:
    return error.code if isinstance(error, KowaiError) else type(error).__name__
