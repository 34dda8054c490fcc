"""Find what crashes and outages have left behind, mend it, and say what was found."""

from uuid import UUID

from prefect.artifacts import acreate_table_artifact
from prefect.context import FlowRunContext
from sqlalchemy import text

from blocks.connections import database
from kowai import reconciling, spaces
from tasks.spaces import current_space
from tasks.step import step
from tasks.vectors import give_vectors

Findings = dict[str, int]


@step
async def mend(tenant_id: UUID) -> Findings:
    """Give stuck documents back, bury those that kill workers, and sweep up orphans; return how many of each."""
    async with (await database()).transaction(tenant_id) as connection:
        return {name: (await connection.execute(text(sql))).rowcount for name, sql in reconciling.MEND.items()}


@step
async def unfinished(tenant_id: UUID) -> list[UUID]:
    """Return the ingestions that have documents waiting and nobody at work."""
    async with (await database()).transaction(tenant_id) as connection:
        return list(await connection.scalars(text(reconciling.UNFINISHED)))


@step
async def mend_vectors(tenant_id: UUID) -> int:
    """Embed chunks that the current space has no vector of, and return how many."""
    space, mended = await current_space(), 0
    if space is None:
        return 0
    for home in spaces.HOMES:
        after: int | None = 0
        while after is not None:
            count, after = await give_vectors(tenant_id, space, home, after)
            mended += count
    return mended


@step
async def report_reconciliation(mended: Findings, tenant_id: UUID) -> Findings:
    """Show what was mended and what is left, as an artifact of the run, if this is a Prefect run."""
    async with (await database()).transaction(tenant_id) as connection:
        left = {name: (await connection.scalar(text(sql))) or 0 for name, sql in reconciling.LEFT.items()}
    if FlowRunContext.get() is not None:
        table = [{"found": name, "mended": count} for name, count in mended.items()]
        table += [{"found": name, "left": count} for name, count in left.items()]
        await acreate_table_artifact(key="reconcile", table=table, description=f"Tenant {tenant_id}.")
    return left
