"""Runs of workflows that somebody started through the API: whose they are, and how they are called off."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from blocks.connections import database
from kowai.errors import NotFound
from kowai.tables.workflows import WorkflowRun
from kowai.types import Value
from tasks.decisions import withdraw
from tasks.outbox import Along
from tasks.record import close_stopped

COLUMNS: list[Any] = [
    getattr(WorkflowRun, name)
    for name in ("id", "workflow", "requested_by", "flow_run_id", "cancelled_at", "created_at")
]
SENTENCE = "It was cancelled."

# Waits for a delivery that is under way, so that afterwards the run is either in Prefect or will never be.
TAKE_BACK = text("update outbox set delivered_at = now() where id = :id and delivered_at is null")
CANCEL = text("update workflow_run set cancelled_at = coalesce(cancelled_at, now()) where id = :id")
STOP_ITEMS = text("""
update ingestion_item set state = 'dead', cause = 'cancelled', sentence = :sentence
where ingestion_id = :id and state in ('queued', 'running')
""")
END_INGESTION = text("update ingestion set finished_at = now() where id = :id and finished_at is null")


class StartedRun(Value):
    """Show a run that was accepted; without a `flow_run_id` Prefect has not been told of it yet."""

    id: UUID
    workflow: str
    requested_by: UUID
    flow_run_id: UUID | None
    cancelled_at: datetime | None
    created_at: datetime


def requested(workflow: str, requested_by: UUID) -> Along:
    """Return what notes who wants which workflow to run; the id is that of its question, batch or the like."""
    row = {"workflow": workflow, "requested_by": requested_by, "tenant_id": text("(select current_tenant())")}

    async def store(connection: AsyncConnection, run_id: UUID) -> None:
        await connection.execute(insert(WorkflowRun).values(id=run_id, **row))

    return store


async def receive_run(tenant_id: UUID, along: Along) -> UUID:
    """Store a run that works on nothing stored before."""
    run_id = uuid4()
    async with (await database()).transaction(tenant_id) as connection:
        await along(connection, run_id)
    return run_id


async def find_run(run_id: UUID, tenant_id: UUID) -> StartedRun:
    """Return a run of this tenant. Raises NotFound."""
    async with (await database()).transaction(tenant_id) as connection:
        found = await connection.execute(select(*COLUMNS).where(col(WorkflowRun.id) == run_id))
        row = found.mappings().one_or_none()
    if row is None:
        raise NotFound("There is no such run.")
    return StartedRun(**row)


async def list_runs(tenant_id: UUID, *, limit: int) -> list[StartedRun]:
    """Return the tenant's runs, newest first."""
    newest = select(*COLUMNS).order_by(col(WorkflowRun.created_at).desc()).limit(limit)
    async with (await database()).transaction(tenant_id) as connection:
        return [StartedRun(**row) for row in (await connection.execute(newest)).mappings()]


async def call_off(run_id: UUID, tenant_id: UUID) -> StartedRun:
    """End what the run works on, so that nothing of it is taken up again; Prefect has still to be told of it.

    Items of a batch or an ingestion that are not done are refused or dead. Raises NotFound.
    """
    async with (await database()).transaction(tenant_id) as connection:
        await connection.execute(TAKE_BACK, {"id": run_id})
        await connection.execute(CANCEL, {"id": run_id})
        await connection.execute(STOP_ITEMS, {"id": run_id, "sentence": SENTENCE})
        await connection.execute(END_INGESTION, {"id": run_id})
        await withdraw(connection, [run_id], "cancelled", SENTENCE)
    await close_stopped(run_id, tenant_id, SENTENCE)
    return await find_run(run_id, tenant_id)
