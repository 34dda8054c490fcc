"""Remove the originals of deleted documents from the bucket, as the outbox says."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import islice
from uuid import UUID

from sqlalchemy import text
from sqlmodel import col, select

from blocks.connections import bucket, database
from kowai import erasure
from kowai.tables.ledger import Outbox
from tasks import outbox
from tasks.forget import REMOVAL
from tasks.step import patient_step, step

ORPHANED = timedelta(days=1)  # a file is stored before the request that refers to it
BATCH = 1000


@patient_step
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


@step
async def sweep_bucket(tenant_id: UUID) -> int:
    """Remove files that nothing has referred to for a day and return how many, such as those of requests that broke."""
    last_put, removed = datetime.now(UTC) - ORPHANED, 0
    files = bucket().files(tenant_id)
    while batch := await asyncio.to_thread(lambda: list(islice(files, BATCH))):
        async with (await database()).transaction(tenant_id) as connection:
            unused = list(await connection.scalars(text(erasure.UNUSED), {"paths": batch}))
        for path in unused:
            removed += await bucket().remove(path, last_put=last_put)
    return removed
