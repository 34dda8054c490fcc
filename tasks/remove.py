"""Remove the originals of deleted documents from the bucket, as the outbox says."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlmodel import col, select

from blocks.connections import bucket, database
from kowai import erasure
from kowai.tables.ledger import Outbox
from tasks import outbox
from tasks.forget import REMOVAL
from tasks.step import step


@step
async def remove_originals(tenant_id: UUID) -> int:
    """Remove every file that is due and return how many; one that a new document was made from meanwhile stays."""
    waiting = select(col(Outbox.id)).where(col(Outbox.kind) == REMOVAL, col(Outbox.delivered_at).is_(None))
    async with (await database()).transaction(tenant_id) as connection:
        entries = list(await connection.scalars(waiting))
    removed = 0
    async with outbox.delivery(entries, tenant_id) as held:
        for entry_id, payload in held.payloads.items():
            path, last_put = payload["path"], datetime.fromisoformat(payload["at"])
            if await held.connection.scalar(text(erasure.UNUSED), {"paths": [path]}):
                removed += await bucket().remove(path, last_put=last_put)
            held.delivered.add(entry_id)
    return removed
