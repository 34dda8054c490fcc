"""Give up on items that a step could not carry on with, and say why."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import tuple_, update
from sqlmodel import col

from blocks.connections import database
from kowai.errors import KowaiError
from kowai.tables.ingestion import IngestionItem as Row
from tasks.claim import Item
from tasks.step import patient_step


@patient_step
async def bury(items: Sequence[Item], error: KowaiError, tenant_id: UUID) -> None:
    """Mark the items that are still running as dead letters of this error."""
    mine = tuple_(col(Row.id), col(Row.attempts)).in_([(item.id, item.attempt) for item in items])
    still_running = (mine, col(Row.state) == "running")
    dead = update(Row).where(*still_running).values(state="dead", cause=error.code, sentence=error.sentence)
    async with (await database()).transaction(tenant_id) as connection:
        await connection.execute(dead)
