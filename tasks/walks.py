"""What walks have left: documents that vanished from their source, and where the next walk begins."""

from typing import Any
from uuid import UUID

from sqlalchemy import text

from blocks.connections import database
from kowai.vanishing import LIST, MARK, REMEMBER, UNMARK, VANISHED
from tasks.step import patient_step


@patient_step
async def find_vanished(ingestion_id: UUID, tenant_id: UUID) -> list[str]:
    """Return the names of documents that their sources want removed, for they do not hold them any more."""
    async with (await database()).transaction(tenant_id) as connection:
        wanted = {"ingestion": ingestion_id, "policy": "remove"}
        return list(await connection.scalars(text(VANISHED + LIST), wanted))


@patient_step
async def close_walks(ingestion_id: UUID, tenant_id: UUID) -> None:
    """Mark what has vanished where its source wants that, and keep what each walk left for the next."""
    values: dict[str, Any] = {"ingestion": ingestion_id}
    async with (await database()).transaction(tenant_id) as connection:
        await connection.execute(text(UNMARK), values)
        await connection.execute(text(VANISHED + MARK), values | {"policy": "mark"})
        await connection.execute(text(REMEMBER), values)
