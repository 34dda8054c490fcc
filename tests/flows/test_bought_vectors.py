"""A vector that was paid for is not paid again, wherever its process dies, and is gone once indexed or forgotten."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text

from blocks import connections
from blocks.connections import Known
from blocks.database import Database
from blocks.embedder import Embedder
from flows.ingest import ingest_stored
from flows.reconcile import reconcile
from flows.reindex import reindex
from kowai import erasure
from tasks import accounts, index, metered, metered_embedder
from tasks.bought_vectors import BoughtVectors
from tasks.forget import forget
from tasks.receive import receive_ingestion
from tasks.step import traced
from tests.flows.conftest import rows
from tests.flows.test_ingest import found, ingested
from tests.forked import forked
from tests.model_server import Act, ModelServer

PRICE = "1000"
KEPT = "select text_hash, kept_until from bought_vector"


@pytest.fixture(autouse=True)
def paid(model_server: ModelServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Embedder:
    (tmp_path / "tea.md").write_text("# Tea\n\nGreen tea is steeped for three minutes at 80 degrees.\n")
    monkeypatch.setattr(metered_embedder, "_bought", BoughtVectors(most_bytes=0))
    model_server.default = Act(usage={"prompt_tokens": 20})
    block = model_server.embedder(price=PRICE)
    use(block, monkeypatch)
    return block


def use(block: Embedder, patched: Any = None) -> None:
    known = Known(block, time.monotonic() + 1e6)
    patched.setitem(connections._known, Embedder, known) if patched else connections._known.update({Embedder: known})


def ingest_and_die(url: str, when: str, ingestion_id: UUID, tenant_id: UUID) -> None:
    """Carry the ingestion out as far as that, and die as by kill -9."""
    use(ModelServer(url).embedder(price=PRICE))

    async def die(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    if when == "between the reply and its settlement":
        accounts.settle = die
    else:
        index.write_chunks = die
    with traced():
        asyncio.run(ingest_stored.fn(ingestion_id, tenant_id))


@pytest.mark.parametrize("when", ["between the reply and its settlement", "before it is indexed"])
async def test_a_process_that_is_killed_has_not_bought_vectors_in_vain(
    store: Database, tenant: UUID, tmp_path: Path, model_server: ModelServer, database_url: str, when: str
) -> None:
    ingestion_id = await receive_ingestion([{"uri": str(tmp_path / "tea.md")}], tenant)
    process = forked(ingest_and_die, model_server.url, when, ingestion_id, tenant)
    await asyncio.to_thread(process.join)
    assert process.exitcode == -signal.SIGKILL
    assert rows(database_url, "select id from chunk") == []
    with traced():
        await ingest_stored.fn(ingestion_id, tenant)
    assert len(model_server.embedded) == 1
    (day,) = rows(database_url, "select reserved, spent, settlements from spend")
    assert (day["reserved"], str(day["spent"]), day["settlements"]) == (0, "0.020000000", 1)
    assert rows(database_url, KEPT) == []
    assert await found("Green tea?", tenant) == [str(tmp_path / "tea.md")]


async def test_what_a_reindex_bought_is_let_go_of_as_it_is_stored(
    store: Database, tenant: UUID, tmp_path: Path, paid: Embedder, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    monkeypatch.setattr("tasks.reindex.GRACE_SECONDS", 0)
    other = Known(paid.model_copy(update={"model": "other"}), time.monotonic() + 1e6)
    monkeypatch.setitem(connections._known, (Embedder, "other"), other)
    await ingested(tenant, tmp_path / "tea.md")
    with traced():
        await reindex.fn("other")
    assert len(rows(database_url, "select id from model_call where role = 'index'")) == 2
    assert rows(database_url, KEPT) == []


async def test_batches_that_were_bought_before_one_failed_are_not_bought_again(
    store: Database, tenant: UUID, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(model_server.embedder(price=PRICE, batch_size=1), monkeypatch)
    model_server.script = [Act(), Act(status=503)]
    for shares in ({tenant: 2}, {}):
        texts = [f"{len(shares)} one", f"{len(shares)} two"]
        model_server.script, model_server.embedded = [Act(), Act(status=400)], []
        with pytest.raises(Exception, match="embedder"):
            await metered.embed(texts, tenant, purpose="document", shares=shares)
        await metered.embed(texts, tenant, purpose="document", shares=shares)
        assert model_server.embedded == [[texts[0]], [texts[1]], [texts[1]]]


async def test_bought_vectors_leave_with_any_document_that_is_deleted(
    store: Database, tenant: UUID, tmp_path: Path, model_server: ModelServer, database_url: str
) -> None:
    await ingested(tenant, tmp_path / "tea.md")
    await metered.embed(["Green tea."], tenant, purpose="document")
    assert (await forget(str(tmp_path / "tea.md"), tenant)).counts["bought_vectors"] == 1
    assert rows(database_url, KEPT) == []
    model_server.embedded.clear()
    await metered.embed(["Green tea."], tenant, purpose="document")
    assert len(model_server.embedded) == 1


async def test_vectors_that_arrive_after_a_deletion_are_paid_and_not_kept(
    store: Database, tenant: UUID, tmp_path: Path, model_server: ModelServer, database_url: str
) -> None:
    await ingested(tenant, tmp_path / "tea.md")
    model_server.default = Act(usage={"prompt_tokens": 20}, delay=1)
    asking = asyncio.create_task(metered.embed(["Green tea."], tenant, purpose="document"))
    while len(model_server.embedded) < 2:
        await asyncio.sleep(0.01)
    await forget(str(tmp_path / "tea.md"), tenant)
    await asking
    assert rows(database_url, KEPT) == []


async def test_no_tenant_sees_what_another_has_bought_and_the_night_takes_what_is_past_its_time(
    store: Database, tenant: UUID, other_tenant: UUID, model_server: ModelServer, database_url: str
) -> None:
    for each in (tenant, other_tenant):
        await metered.embed(["Green tea."], each, purpose="document")
    assert len(model_server.embedded) == len(rows(database_url, KEPT)) == 2
    async with store.transaction(tenant) as connection:
        assert (await connection.execute(text(KEPT))).rowcount == 1
        assert (await connection.execute(text(erasure.BOUGHT))).rowcount == 1
    with psycopg.connect(database_url) as owner:
        owner.execute("update bought_vector set kept_until = now() - interval '1 s'")
    with traced():
        await reconcile.fn()
    assert rows(database_url, KEPT) == []


async def test_a_free_embedder_keeps_nothing(
    store: Database, tenant: UUID, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    use(model_server.embedder(price="0"), monkeypatch)
    assert (await metered.embed(["Green tea."], tenant, purpose="document", shares={tenant: 1})).kept == ()
    assert rows(database_url, KEPT) == []
