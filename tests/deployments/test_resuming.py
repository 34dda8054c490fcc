"""A shim that starts carries on with the ingestions that another one had to leave, and with no others."""

import asyncio
from pathlib import Path
from uuid import UUID

from blocks.database import Database
from tasks.accept import accept
from tasks.claim import at_work, claim
from tasks.documents import read_accounts
from tasks.receive import receive_ingestion
from tasks.reconcile import unfinished
from tests.deployments.conftest import Shim, listening

PATIENCE_SECONDS = 60.0


async def claimed(tenant: UUID, path: Path) -> UUID:
    """Accept an ingestion and claim its one document."""
    path.write_text("Otters hold hands.")
    ingestion_id = await receive_ingestion([{"uri": str(path)}], tenant)
    await accept(ingestion_id, tenant)
    assert await claim(ingestion_id, tenant, 10)
    return ingestion_id


async def test_what_a_shim_was_reading_when_it_ended_is_read_by_the_next(shim: Shim, tmp_path: Path) -> None:
    async with at_work():
        await claimed(shim.tenant, tmp_path / "otters.md")
    async with listening(), asyncio.timeout(PATIENCE_SECONDS):
        while (await read_accounts(shim.tenant))[0].in_progress:
            await asyncio.sleep(0.1)
    total, _ = await read_accounts(shim.tenant)
    assert (total.accepted, total.indexed, total.in_progress) == (2, 2, 0)


async def test_what_somebody_is_reading_is_left_to_them(store: Database, tenant: UUID, tmp_path: Path) -> None:
    async with at_work():
        ingestion_id = await claimed(tenant, tmp_path / "otters.md")
        assert await unfinished(tenant) == []
    assert await unfinished(tenant) == [ingestion_id]
