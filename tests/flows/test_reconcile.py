"""Reconciling mends what crashes leave behind and leaves a sound store alone."""

from pathlib import Path
from uuid import UUID

from sqlalchemy import text

from blocks.database import Database
from flows.ingest import ingest_stored
from flows.reconcile import reconcile
from tasks.accept import accept
from tasks.claim import claim
from tasks.documents import list_dead_letters, read_accounts
from tasks.receive import receive_ingestion
from tasks.reconcile import mend, report_reconciliation
from tasks.retrieve import find_passages
from tasks.step import traced

AGE = (
    "update ingestion set created_at = now() - interval '1 hour'",
    "update ingestion_item set claimed_by = null",
)


async def change(store: Database, tenant: UUID, *statements: str) -> None:
    async with store.transaction(tenant) as connection:
        for statement in statements:
            await connection.execute(text(statement))


async def abandoned(store: Database, tenant: UUID, path: Path) -> None:
    """Leave an ingestion behind as a worker does that dies while it reads."""
    path.write_text("Otters hold hands.")
    ingestion_id = await receive_ingestion([{"uri": str(path)}], tenant)
    await accept(ingestion_id, tenant)
    await claim(ingestion_id, tenant, 10)
    await change(store, tenant, *AGE)


async def test_an_abandoned_ingestion_is_finished(store: Database, tenant: UUID, tmp_path: Path) -> None:
    await abandoned(store, tenant, tmp_path / "a.txt")
    with traced():
        await reconcile.fn()
    total, _ = await read_accounts(tenant)
    assert (total.accepted, total.indexed, total.in_progress) == (1, 1, 0)


async def test_a_document_that_kills_every_worker_is_buried(store: Database, tenant: UUID, tmp_path: Path) -> None:
    await abandoned(store, tenant, tmp_path / "a.txt")
    await change(store, tenant, "update ingestion_item set attempts = 5")
    with traced():
        await reconcile.fn()
    assert [letter.cause for letter in await list_dead_letters(tenant)] == ["abandoned"]


async def test_missing_vectors_are_made_again_and_a_sound_store_is_left_alone(
    store: Database, tenant: UUID, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("Otters hold hands.")
    ingestion_id = await receive_ingestion([{"uri": str(tmp_path / "a.txt")}], tenant)
    with traced():
        await ingest_stored.fn(ingestion_id, tenant)
    await change(store, tenant, "delete from chunk_vector")
    assert (await report_reconciliation({}, tenant))["chunks without a vector"] == 1
    with traced():
        await reconcile.fn()
    assert not any((await report_reconciliation({}, tenant)).values())
    (passage,) = await find_passages("otters", tenant, k=1, filters={})
    assert passage.dense
    assert not any((await mend(tenant)).values())
