"""Flows that run warm in this process, and flows handed to their deployment."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from prefect import Flow
from sqlalchemy.ext.asyncio import AsyncConnection

from deployments.shim.prefect_api import PrefectApi, StateType
from deployments.shim.recorder import KIND, Recorder
from deployments.shim.records import Ended, RunRecord
from kowai.correlation import request_id
from kowai.errors import KowaiError, Unavailable
from tasks import outbox
from tasks.idempotency import Claim, settling
from tasks.step import traced

LEASE_SECONDS = 900.0
SHOWN_AFTER_SECONDS = 1.0


class Opening(NamedTuple):
    """Hold what a run's record begins with, before its subject is stored.

    `given` are the run's parameters where they are more than the ids of its subject and its tenant; `claimed` is the
    caller's own key for the request, if they sent one.
    """

    deployment: str
    tenant_id: UUID
    started_at: datetime
    state: StateType = "CRASHED"
    given: Mapping[str, Any] | None = None
    claimed: Claim | None = None

    def record(self, subject: Mapping[str, UUID]) -> RunRecord:
        ids = {name: str(value) for name, value in {**subject, "tenant_id": self.tenant_id}.items()}
        given = ids if self.given is None else self.given
        known = {"deployment": self.deployment, "started_at": self.started_at, "state": self.state}
        return RunRecord.model_validate({**known, "parameters": given, "request_id": request_id()})

    def entry(self, subject: Mapping[str, UUID]) -> outbox.Entry:
        (subject_id,) = subject.values()
        lease = 0 if self.state == "SCHEDULED" else LEASE_SECONDS
        return outbox.Entry(subject_id, self.record(subject).model_dump(mode="json"), lease)

    def along(self, name: str) -> outbox.Along:
        """Return what stores the record, and what the key stands for, with its subject: the flow's parameter `name`."""

        async def store(connection: AsyncConnection, subject_id: UUID) -> None:
            await settling(self.claimed)(connection, subject_id)
            await outbox.place(connection, KIND, [self.entry({name: subject_id})], self.tenant_id)

        return store


class Runs:
    """Run flows on a stored subject: the one keyword besides `tenant_id`, named as the flow's parameter."""

    def __init__(self, prefect: PrefectApi, recorder: Recorder) -> None:
        self._prefect = prefect
        self._recorder = recorder
        self._creations: set[asyncio.Task[UUID | None]] = set()

    async def run(
        self, flow: Flow[..., Any], deployment: str, *, tenant_id: UUID, opened: Opening | None = None, **subject: UUID
    ) -> str:
        """Run `flow` here; its record is in the outbox before it starts, so that a crash cannot hide it.

        `opened` is there when the record was stored with the subject, in its transaction.
        Returns a Server-Timing value (W3C): milliseconds spent in the flow, and in recording it for Prefect.
        """
        began = time.perf_counter()
        (subject_id,) = subject.values()
        opening = opened or Opening(deployment, tenant_id, datetime.now(UTC))
        record = opening.record(subject)
        if opened is None:
            await outbox.put(KIND, [opening.entry(subject)], tenant_id, durable=False)
        shown: list[asyncio.Task[UUID | None]] = []
        timer = asyncio.get_running_loop().call_later(SHOWN_AFTER_SECONDS, self._show, subject_id, record, shown)
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
                ended = time.perf_counter()
                timer.cancel()
                creation = shown[0] if shown else None
                outcome |= {"ended_at": datetime.now(UTC), "steps": tuple(trace.steps)}
                self._recorder.end(Ended(record.model_copy(update=outcome), subject_id, tenant_id, creation))
        recording = started - began + time.perf_counter() - ended
        return f"flow;dur={1000 * (ended - started):.1f}, prefect;dur={1000 * recording:.1f}"

    async def start(self, deployment: str, *, tenant_id: UUID, opened: Opening | None = None, **subject: UUID) -> None:
        """Hand the subject to the deployment's work pool, through the outbox: accepted is never forgotten."""
        (subject_id,) = subject.values()
        if opened is None:
            opening = Opening(deployment, tenant_id, datetime.now(UTC), "SCHEDULED")
            await outbox.put(KIND, [opening.entry(subject)], tenant_id)
        await self._recorder.deliver([subject_id], tenant_id)

    def _show(self, subject_id: UUID, record: RunRecord, shown: list[asyncio.Task[UUID | None]]) -> None:
        """Create a run that takes long in Prefect while it is under way, unless another is just being created."""

        async def attempt() -> UUID | None:
            with suppress(Unavailable):
                return await self._prefect.create_run(record.deployment, **record.creation(subject_id))

        if not self._creations:
            creation = asyncio.create_task(attempt())
            shown.append(creation)
            self._creations.add(creation)
            creation.add_done_callback(self._creations.discard)


def _code(error: BaseException) -> str:
    return error.code if isinstance(error, KowaiError) else type(error).__name__
