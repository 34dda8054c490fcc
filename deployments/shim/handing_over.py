"""What is stored for a worker, once for a key of the caller's own, together with the run that is to carry it out."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from fastapi import Request

from deployments.shim.identity import Principal
from deployments.shim.repeats import Repeats
from deployments.shim.runs import Opening, Runs
from kowai.errors import Misconfigured
from kowai.quotes import Quote
from tasks.approvals import offered
from tasks.idempotency import Claim
from tasks.outbox import Along, together
from tasks.quote import quote_nothing


class Task(NamedTuple):
    """Name the deployment that carries a subject out, that parameter of it, and what tells requests for it apart.

    What could cost more than `approve_above` US dollars by its `quote` waits for an approval; with None nothing does.
    """

    deployment: str
    parameter: str
    asked: list[Any]
    quote: Callable[[], Awaitable[Quote]] | None = None
    approve_above: Decimal | None = None

    async def quoted(self) -> Quote:
        """Return what it takes, and whether somebody has to approve that."""
        assert self.quote
        return (await self.quote()).above(self.approve_above)

    async def offer(self, tenant_id: UUID) -> Along | None:
        """Return what keeps the quote with its subject, where it may have to be approved."""
        if self.approve_above is None or self.quote is None:
            return None
        try:
            quote = await self.quoted()
        except Misconfigured:  # without a model it costs nothing; where there is one when it begins, it is quoted then
            quote = (await quote_nothing(tenant_id)).above(self.approve_above)
        return offered(self.deployment.partition("/")[0], quote)


class Store(Protocol):
    """Store a subject, and what is to go along with it in the same transaction; return its id."""

    def __call__(self, *, along: Along) -> Awaitable[UUID]: ...


async def hand_over(task: Task, store: Store, caller: Principal, repeats: Repeats, request: Request) -> UUID:
    """Store a subject with its run's record in one transaction, hand it to a worker and return its id.

    A request that comes again under the caller's key stores nothing, and its run is begun if it was not yet.
    """
    opened = Opening(task.deployment, caller.tenant_id, datetime.now(UTC), "SCHEDULED")

    async def receive(claimed: Claim | None) -> UUID:
        begun = opened._replace(claimed=claimed).along(task.parameter)
        return await store(along=together(await task.offer(caller.tenant_id), begun))

    subject_id, _ = await repeats.once([task.deployment, *task.asked], caller, receive)
    runs: Runs = request.app.state.runs
    await runs.start(task.deployment, tenant_id=caller.tenant_id, opened=opened, **{task.parameter: subject_id})
    return subject_id
