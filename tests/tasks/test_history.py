"""A search as of a day finds what was known then: no more, no less, and nothing that has been deleted."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, text
from sqlmodel import select

from blocks.connections import bucket
from blocks.database import Database
from flows.ingest import ingest_stored
from flows.reconcile import reconcile
from kowai.settings import Settings
from tasks import retention
from tasks.forget import forget, list_certificates
from tasks.history import note_on
from tasks.receive import receive_ingestion
from tasks.retention import Retention, retention_of, retire_versions, set_retention
from tasks.retrieve import find_passages
from tasks.step import traced

QUESTION = "Who keeps the lighthouse?"


async def learned(store: Database, tenant: UUID, name: str, content: str) -> datetime:
    """Ingest an upload and return a moment at which it is the current version."""
    original = await bucket().put(tenant, content.encode())
    source = {"uri": name, "external_id": name, "name": name, "original": original}
    ingestion_id = await receive_ingestion([source], tenant)
    with traced():
        await ingest_stored.fn(ingestion_id, tenant)
    async with store.transaction(tenant) as connection:
        return (await connection.execute(select(func.now()))).scalar_one()


async def found(
    tenant: UUID, question: str = QUESTION, *, as_of: datetime | None = None, **filters: object
) -> list[str]:
    filters |= {"as_of": as_of.isoformat()} if as_of else {}
    return [one.text.split()[0] for one in await find_passages(question, tenant, k=5, filters=filters)]


async def test_each_day_has_its_own_knowledge(store: Database, tenant: UUID) -> None:
    before = datetime.now(UTC) - timedelta(hours=1)
    first = await learned(store, tenant, "a.txt", "Ada keeps the lighthouse and its quinquereme.")
    second = await learned(store, tenant, "a.txt", "Bob keeps the lighthouse now.")
    third = await learned(store, tenant, "b.txt", "Cid keeps the other lighthouse.")
    assert await found(tenant, as_of=before) == []
    assert await found(tenant, as_of=first) == ["Ada"]
    assert await found(tenant, as_of=second) == ["Bob"]
    assert sorted(await found(tenant, as_of=third)) == ["Bob", "Cid"]
    assert sorted(await found(tenant)) == ["Bob", "Cid"]
    assert await found(tenant, as_of=third, external_id="b.txt") == ["Cid"]


async def test_words_that_only_an_old_version_holds_are_found_as_of_its_day(store: Database, tenant: UUID) -> None:
    first = await learned(store, tenant, "a.txt", "Ada keeps the lighthouse and its quinquereme.")
    await learned(store, tenant, "a.txt", "Bob keeps the lighthouse now.")
    (passage,) = await find_passages("quinquereme", tenant, k=1, filters={"as_of": first.isoformat()})
    assert (passage.version, passage.text.split()[0]) == (1, "Ada")
    assert passage.lexical


async def test_a_deleted_document_is_gone_from_every_day(store: Database, tenant: UUID) -> None:
    first = await learned(store, tenant, "a.txt", "Ada keeps the lighthouse.")
    await learned(store, tenant, "a.txt", "Bob keeps the lighthouse.")
    await forget("a.txt", tenant)
    assert await found(tenant, as_of=first) == []
    async with store.transaction(tenant) as connection:
        for table in ("past_chunk", "past_vector", "past_posting"):
            assert await connection.scalar(text(f"select count(*) from {table}")) == 0


async def test_another_tenants_past_stays_its_own(store: Database, tenant: UUID, other_tenant: UUID) -> None:
    first = await learned(store, tenant, "a.txt", "Ada keeps the lighthouse.")
    await learned(store, tenant, "a.txt", "Bob keeps the lighthouse.")
    await learned(store, other_tenant, "a.txt", "Cid keeps the lighthouse.")
    assert await found(other_tenant, as_of=first) == []


NAMES = ("Ada", "Bob", "Cid")
KEPT = {"versions": 2, "days": None}, {"versions": None, "days": 1}


@pytest.mark.parametrize(("kept", "known"), zip(KEPT, ([[], ["Bob"]], [["Ada"], ["Bob"]]), strict=True))
async def test_retention_takes_the_oldest_versions(
    store: Database, tenant: UUID, kept: dict[str, int | None], known: list[list[str]]
) -> None:
    first = await learned(store, tenant, "a.txt", "Ada keeps the lighthouse.")
    second = await learned(store, tenant, "a.txt", "Bob keeps the lighthouse.")
    await learned(store, tenant, "a.txt", "Cid keeps the lighthouse.")
    await retire_versions(tenant, **kept)
    assert [await found(tenant, as_of=first), await found(tenant, as_of=second)] == known
    assert await found(tenant) == ["Cid"]


async def test_what_retention_takes_is_certified_and_nothing_is_not(store: Database, tenant: UUID) -> None:
    for keeper in ("Ada", "Bob", "Cid"):
        await learned(store, tenant, "a.txt", f"{keeper} keeps the lighthouse.")
    assert await retire_versions(tenant, versions=1, days=None) == 2
    assert await retire_versions(tenant, versions=1, days=None) == 0
    (certificate,) = await list_certificates(tenant, limit=10)
    assert certificate.counts == {"versions": 2, "thinned_documents": 1, "chunks": 2}
    await learned(store, tenant, "a.txt", "Dan keeps the lighthouse.")  # it is no deletion of the document
    assert await found(tenant) == ["Dan"]


async def test_a_tenant_keeps_versions_as_it_says_and_the_others_as_everybody(
    store: Database, tenant: UUID, other_tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "settings", lambda: Settings(keep_versions=2))
    await set_retention(Retention(keep_versions=1), tenant)
    days: dict[UUID, list[datetime]] = {}
    for whose in (tenant, other_tenant):
        days[whose] = [await learned(store, whose, "a.txt", f"{name} keeps the lighthouse.") for name in NAMES]
    with traced():
        await reconcile.fn()
    assert [await found(tenant, as_of=day) for day in days[tenant]] == [[], [], ["Cid"]]
    assert [await found(other_tenant, as_of=day) for day in days[other_tenant]] == [[], ["Bob"], ["Cid"]]
    assert (await retention_of(tenant)).own
    assert (await set_retention(None, tenant)).model_dump() == {"keep_versions": 2, "keep_days": None, "own": False}


async def test_what_retention_has_taken_from_a_day_is_said_and_a_whole_day_says_nothing(
    store: Database, tenant: UUID
) -> None:
    before = datetime.now(UTC) - timedelta(hours=1)
    first = await learned(store, tenant, "a.txt", "Ada keeps the lighthouse.")
    second = await learned(store, tenant, "a.txt", "Bob keeps the lighthouse.")
    assert await note_on({"as_of": first.isoformat()}, tenant) is None
    await retire_versions(tenant, versions=1, days=None)
    assert "1 document" in (await note_on({"as_of": first.isoformat()}, tenant) or "")
    assert [await note_on({"as_of": day.isoformat()}, tenant) for day in (before, second)] == [None, None]
    assert await note_on({}, tenant) is None
