"""Vector spaces that are found to be built: by their ids, or because they wait for the next day's money."""

import json
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from prefect.artifacts import acreate_table_artifact
from prefect.context import FlowRunContext
from sqlalchemy import text

from blocks.connections import database
from kowai import spaces
from kowai.errors import NotFound
from tasks.spaces import StoredSpace
from tasks.step import step


class Waiting(NamedTuple):
    """Name a space that waits, and how much of the recall on stored questions may be lost by it."""

    space: StoredSpace
    allowed_loss: float


@step
async def pause_space(space: StoredSpace, tenant_ids: Sequence[UUID], allowed_loss: float) -> str:
    """Keep a space that is being built for the next night; return what it waits for, in a sentence."""
    chunks: list[int] = []
    for tenant_id in tenant_ids:
        async with (await database()).transaction(tenant_id) as connection:
            counts = [await connection.scalar(text(spaces.count(*home)), {"space": space.id}) for home in spaces.HOMES]
        chunks.append(sum(counts))
    waiting = {"tenants": sum(map(bool, chunks)), "chunks": sum(chunks), "allowed_loss": allowed_loss}
    async with (await database()).platform_transaction() as connection:
        told = {"id": space.id, "evaluation": json.dumps({"waiting": waiting})}
        await connection.execute(text(spaces.PAUSE), told)
    return (
        f"Waiting for the next day's budget: chunks {waiting['chunks']:,}, tenants {waiting['tenants']:,}; searches "
        "stay in the space of today, and `reconcile` goes on at night where this stopped."
    )


@step
async def find_space(public_id: UUID) -> StoredSpace:
    """Return a space by the id that clients know. Raises NotFound."""
    async with (await database()).connection() as connection:
        row = (await connection.execute(text(spaces.NAMED), {"public_id": public_id})).one_or_none()
    if row is None:
        raise NotFound("There is no such vector space: it may have been dropped.")
    return StoredSpace(*row)


@step
async def find_waiting() -> Waiting | None:
    """Return the space that waits, if one does and nobody builds it just now."""
    async with (await database()).connection() as connection:
        row = (await connection.execute(text(spaces.WAITING))).one_or_none()
    if row is None:
        return None
    *space, allowed_loss = row
    return Waiting(StoredSpace(*space), float(allowed_loss))


@step
async def report_spaces() -> None:
    """List the spaces and how they compared, as an artifact of the run, if this is a Prefect run."""
    if FlowRunContext.get() is None:
        return
    async with (await database()).connection() as connection:
        rows = [dict(row) for row in (await connection.execute(text(spaces.LISTED))).mappings()]
    table = [{**row, "public_id": str(row["public_id"]), **row.pop("evaluation")} for row in rows]
    await acreate_table_artifact(key="spaces", table=table, description="The vector spaces, the current one first.")
