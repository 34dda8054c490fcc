"""Remove the originals of deleted documents from the bucket, as the outbox says."""

import asyncio
import shutil
from datetime import UTC, datetime, timedelta
from itertools import islice
from uuid import UUID

from sqlalchemy import text
from sqlmodel import col, select

from blocks.connections import bucket, database
from blocks.sources import git
from kowai import erasure
from kowai.tables.ledger import Outbox
from tasks import outbox
from tasks.forget import REMOVAL
from tasks.step import patient_step, step

ORPHANED = timedelta(days=1)  # a file is stored before the request that refers to it
BATCH = 1000
READ_FROM = text("""
select uri from source union select details ->> 'repository' from ingestion_item
where state in ('queued', 'running', 'dead') and details ->> 'repository' is not null
""")


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
async def sweep_repositories(tenant_id: UUID) -> int:
    """Remove what this machine has fetched of repositories that nothing is read from any more; return how many."""
    place = git.fetched(tenant_id)
    found = await asyncio.to_thread(lambda: list(place.iterdir()) if place.is_dir() else [])
    async with (await database()).transaction(tenant_id) as connection:
        needed = {git.fetched_as(uri) for uri in await connection.scalars(READ_FROM)}
    unneeded = [folder for folder in found if folder.name not in needed]
    for folder in unneeded:
        await asyncio.to_thread(shutil.rmtree, folder)
    return len(unneeded)


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
