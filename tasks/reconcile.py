"""Find what crashes and outages have left behind, mend it, and say what was found."""

from typing import Any
from uuid import UUID

from prefect.artifacts import acreate_table_artifact
from prefect.context import FlowRunContext
from sqlalchemy import text

from blocks.connections import database
from kowai import reconciling
from kowai.indexing import embedded_text
from kowai.types import Chunk
from tasks import metered
from tasks.spaces import open_space
from tasks.step import step

BATCH = 256

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
    """Embed chunks that have no vector and return how many. Raises SpaceMismatch when the embedder has changed."""
    mended = 0
    while rows := await _bare(tenant_id):
        chunks = [
            Chunk(row.ordinal, row.start_char, row.end_char, row.page, row.heading_path, row.text) for row in rows
        ]
        texts = [embedded_text(row.title, chunk) for row, chunk in zip(rows, chunks, strict=True)]
        vectors, space = await metered.embed(texts, purpose="document")
        async with (await database()).transaction(tenant_id) as connection:
            space_id = await open_space(connection, space)
            values = [
                {"chunk": row.id, "space": space_id, "embedding": str(vector.tolist())}
                for row, vector in zip(rows, vectors, strict=True)
            ]
            await connection.execute(text(reconciling.CLOTHE), values)
        mended += len(rows)
    return mended


async def _bare(tenant_id: UUID) -> list[Any]:
    async with (await database()).transaction(tenant_id) as connection:
        return list((await connection.execute(text(reconciling.BARE), {"limit": BATCH})).all())


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
