"""What is stored for a worker, once for a key of the caller's own, together with the run that is to carry it out."""

from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from fastapi import Request

from deployments.shim.identity import Principal
from deployments.shim.repeats import Repeats
from deployments.shim.runs import Opening, Runs
from tasks.idempotency import Claim
from tasks.outbox import Along


class Task(NamedTuple):
    """Name the deployment that carries a subject out, that parameter of it, and what tells requests for it apart."""

    deployment: str
    parameter: str
    asked: list[Any]


class Store(Protocol):
    """Store a subject, and what is to go along with it in the same transaction; return its id."""

    def __call__(self, *, along: Along) -> Awaitable[UUID]: ...


async def hand_over(task: Task, store: Store, caller: Principal, repeats: Repeats, request: Request) -> UUID:
    """Store a subject with its run's record in one transaction, hand it to a worker and return its id.

    A request that comes again under the caller's key stores nothing, and its run is begun if it was not yet.
    """
    opened = Opening(task.deployment, caller.tenant_id, datetime.now(UTC), "SCHEDULED")

    async def receive(claimed: Claim | None) -> UUID:
        return await store(along=opened._replace(claimed=claimed).along(task.parameter))

    subject_id, _ = await repeats.once([task.deployment, *task.asked], caller, receive)
    runs: Runs = request.app.state.runs
    await runs.start(task.deployment, tenant_id=caller.tenant_id, opened=opened, **{task.parameter: subject_id})
    return subject_id
