"""What Prefect is told about flows that ran in this process."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple
from uuid import UUID

from deployments.shim.prefect_api import PrefectApi, StateType, state
from kowai.correlation import TAG
from kowai.types import Value
from tasks import outbox
from tasks.step import StepRun


class RunRecord(Value):
    """Hold one run's ids, times and outcome: never text. Until it is closed a run in this process reads as crashed."""

    deployment: str
    parameters: Mapping[str, Any]
    started_at: datetime
    ended_at: datetime | None = None
    flow_run_id: UUID | None = None
    state: StateType = "CRASHED"
    message: str = "The process that ran this stopped before it could finish."
    steps: tuple[StepRun, ...] = ()
    request_id: str | None = None

    def summary(self) -> str:
        """Return the outcome with the times at which the run really took place."""
        until = self.ended_at.isoformat() if self.ended_at else "unknown"
        return f"{self.message} Ran in the shim from {self.started_at.isoformat()} until {until}."

    def creation(self, subject_id: UUID) -> dict[str, Any]:
        """Return what Prefect is asked to create: a run that goes on, or one left for a worker when it is scheduled."""
        created: dict[str, Any] = {
            "parameters": dict(self.parameters),
            "idempotency_key": f"{subject_id}:{self.started_at.timestamp()}",
            "tags": [f"{name}:{value}" for name, value in self.parameters.items() if isinstance(value, str)],
        }
        if self.request_id:
            created["tags"].append(f"{TAG}{self.request_id}")
        if self.state == "SCHEDULED":
            return created
        times = {"started": self.started_at, "ended": self.ended_at}
        labels = {f"kowai.{name}-at": at.isoformat() for name, at in times.items() if at is not None}
        created["enforce_parameter_schema"] = False  # it has been run with them
        return created | {"state": state("RUNNING"), "labels": {"kowai.in-process": True, **labels}}


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


async def tell(prefect: PrefectApi, records: Mapping[UUID, RunRecord]) -> dict[UUID, UUID]:
    """Make Prefect know the runs of these subjects by a few calls for all; return the run of each that it took.

    Repeating it changes nothing. Raises Unavailable, and Refused when Prefect does not take the call as it is.
    """
    runs = {subject: record.flow_run_id for subject, record in records.items() if record.flow_run_id}
    left = sorted(records.keys() - runs.keys(), key=lambda subject: records[subject].deployment)
    for deployment, group in groupby(left, key=lambda subject: records[subject].deployment):
        subjects = list(group)
        made = await prefect.create_runs(deployment, [records[each].creation(each) for each in subjects])
        runs |= {subject: run for subject, run in zip(subjects, made, strict=True) if run}
    ended = {subject: record for subject, record in records.items() if record.state != "SCHEDULED" and subject in runs}
    await prefect.record_steps({runs[subject]: record.steps for subject, record in ended.items()})
    took = {subject for subject in runs if subject not in ended}
    for alike in _alike(ended):
        record = ended[alike[0]]
        message = record.message if len(alike) > 1 else record.summary()
        closed = await prefect.set_states([runs[each] for each in alike], record.state, message)
        took |= {each for each in alike if runs[each] in closed}
    return {subject: run for subject, run in runs.items() if subject in took}


def _alike(ended: Mapping[UUID, RunRecord]) -> list[Sequence[UUID]]:
    """Group runs that end in the same words; one that was created before it ended has its times in words of its own."""

    def outcome(subject: UUID) -> tuple[str, str, str]:
        record = ended[subject]
        return record.state, record.message, str(record.flow_run_id or "")

    return [list(group) for _, group in groupby(sorted(ended, key=outcome), key=outcome)]
