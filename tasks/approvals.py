"""Approvals: a quote is kept with what it is for, which begins once somebody agrees to what it may cost."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col, select

from blocks.connections import database, language_model
from kowai.extraction.answer import MODEL as EXTRACTIVE
from kowai.quotes import Quote
from kowai.tables.approvals import Approval
from tasks.outbox import Along
from tasks.step import own_run, step

UNASKED = "within the threshold"

WAIT = text("""
update approval set flow_run_id = :run, waits_since = coalesce(waits_since, now())
where id = any(:ids) and state = 'waiting'
""")
RENEW = text("""
update approval set quote = cast(:quote as jsonb), state = :state, decided_by = :decided_by
where id = any(:ids) and state = 'approved' and decided_by = :unasked
""")


class Terms(NamedTuple):
    """Hold what was quoted, whether it may begin (quoted, waiting, approved or declined) and, declined, why not.

    They are `outdated` where nobody was asked because there was no model to pay, and now there is one.
    """

    quote: Quote
    state: str
    reason: str | None
    outdated: bool = False


def offered(workflow: str, quote: Quote, *, dry_run: bool = False) -> Along:
    """Return what keeps the quote with its subject, in the transaction that stores it; what is kept stays."""
    row: dict[str, Any] = {"workflow": workflow, "quote": quote.model_dump(mode="json"), "flow_run_id": own_run()}
    row |= {"state": "quoted", "decided_by": None} if dry_run else _decided(quote)

    async def store(connection: AsyncConnection, subject_id: UUID) -> None:
        tenant_id = text("(select current_tenant())")
        entered = postgresql.insert(Approval).values(id=subject_id, tenant_id=tenant_id, **row)
        await connection.execute(entered.on_conflict_do_nothing())

    return store


def _decided(quote: Quote) -> dict[str, Any]:
    """Return the state of what somebody has to approve, or nobody."""
    if quote.needs_approval:
        return {"state": "waiting", "decided_by": None}
    return {"state": "approved", "decided_by": UNASKED}


@step
async def offer(ids: Sequence[UUID], along: Along, tenant_id: UUID) -> None:
    """Keep one quote for several subjects together."""
    async with (await database()).transaction(tenant_id) as connection:
        for subject_id in ids:
            await along(connection, subject_id)


@step
async def offered_by_run(tenant_id: UUID) -> list[UUID]:
    """Return what this run has offered before it was started again."""
    if (run_id := own_run()) is None:
        return []
    found = select(col(Approval.id)).where(col(Approval.flow_run_id) == run_id).order_by(col(Approval.id))
    async with (await database()).transaction(tenant_id) as connection:
        return list(await connection.scalars(found))


@step
async def read_terms(subject_id: UUID, tenant_id: UUID) -> Terms | None:
    """Return the terms of one subject; None where nothing was quoted."""
    columns = (col(Approval.quote), col(Approval.state), col(Approval.reason), col(Approval.decided_by))
    async with (await database()).transaction(tenant_id) as connection:
        row = (await connection.execute(select(*columns).where(col(Approval.id) == subject_id))).one_or_none()
    if row is None:
        return None
    quote = Quote.model_validate(row.quote)
    held = quote.approve_above is not None and quote.model == EXTRACTIVE and row.decided_by == UNASKED
    outdated = held and bool((await language_model()).targets)
    return Terms(quote, row.state, row.reason, outdated)


@step
async def renew_terms(ids: Sequence[UUID], quote: Quote, tenant_id: UUID) -> None:
    """Put a quote in place of one that nobody was asked about."""
    values: dict[str, Any] = {"ids": ids, "quote": quote.model_dump_json(), "unasked": UNASKED}
    async with (await database()).transaction(tenant_id) as connection:
        await connection.execute(RENEW, values | _decided(quote))


@step
async def await_approval(ids: Sequence[UUID], tenant_id: UUID) -> None:
    """Note which run waits for somebody's approval."""
    async with (await database()).transaction(tenant_id) as connection:
        await connection.execute(WAIT, {"ids": ids, "run": own_run()})


async def list_approvals(
    tenant_id: UUID, *, state: str | None = None, subject_id: UUID | None = None, limit: int = 1
) -> list[Any]:
    """Return the newest of a tenant's approvals, if need be those of a state or that of one subject."""
    asked = {col(Approval.state): state, col(Approval.id): subject_id}
    wanted = [column == value for column, value in asked.items() if value is not None]
    newest = select(Approval).where(*wanted).order_by(col(Approval.created_at).desc()).limit(limit)
    async with (await database()).transaction(tenant_id) as connection:
        return list((await connection.execute(newest)).all())
