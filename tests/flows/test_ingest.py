"""Every accepted document ends indexed, unchanged or dead with a cause, and none takes another with it."""

import asyncio
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url, update

from blocks import connections
from blocks.database import Database
from blocks.embedder import Embedder, Purpose
from deployments.shim.ledgers import Ledger, read_ledger
from flows.ingest import ingest_stored
from kowai import batching
from kowai.errors import InvalidInput, Unavailable
from kowai.settings import settings
from kowai.tables.ingestion import IngestionItem
from tasks.accept import accept
from tasks.claim import at_work, claim
from tasks.embed import embed_chunks
from tasks.index import index
from tasks.read import read
from tasks.receive import receive_ingestion
from tasks.retrieve import find_passages
from tasks.revive import revive
from tasks.sources import remember
from tasks.step import traced
from tests.serving import handled


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "documents"
    place.mkdir()
    return place


async def ingested(tenant: UUID, *uris: str | Path) -> Ledger:
    ingestion_id = await receive_ingestion([{"uri": str(uri)} for uri in uris], tenant)
    with traced():
        await ingest_stored.fn(ingestion_id, tenant)
    ledger = await read_ledger(ingestion_id, tenant)
    assert ledger.accepted == ledger.indexed + ledger.unchanged + ledger.dead + ledger.in_progress
    return ledger


async def found(text: str, tenant: UUID) -> list[str]:
    return [passage.external_id for passage in await find_passages(text, tenant, k=5, filters={})]


async def test_bad_files_die_with_their_causes_and_the_good_one_is_found(
    store: Database, tenant: UUID, folder: Path, tmp_path: Path
) -> None:
    (folder / "good.md").write_text("# Otters\n\nOtters hold hands while they sleep.")
    (folder / "empty.txt").write_text("")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing more")
    (folder / "really.pdf").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 100)
    ledger = await ingested(tenant, folder, tmp_path / "missing")
    assert (ledger.accepted, ledger.indexed, ledger.dead) == (5, 1, 4)
    causes = {Path(item.uri).name: item.cause for item in ledger.items}
    assert causes["good.md"] is None
    assert causes["empty.txt"] == "empty"
    assert causes["broken.pdf"] == "corrupt"
    assert causes["missing"] == "source_missing"
    assert causes["really.pdf"]
    assert all(item.sentence for item in ledger.items if item.state == "dead")
    assert await found("Do otters hold hands?", tenant) == [str(folder / "good.md")]


async def test_another_document_under_the_same_id_is_dead_and_not_lost(
    store: Database, tenant: UUID, folder: Path
) -> None:
    for name, animal in (("first", "otter"), ("second", "badger")):
        line = json.dumps({"_id": "1", "text": f"The {animal} digs."})
        (folder / f"{name}.jsonl").write_text(line)
    ledger = await ingested(tenant, folder, folder / "first.jsonl")
    assert (ledger.accepted, ledger.indexed, ledger.dead) == (2, 1, 1)
    assert [(item.uri, item.cause) for item in ledger.items if item.cause] == [("1#2", "duplicate_id")]


async def test_what_was_refused_at_the_door_is_counted(store: Database, tenant: UUID) -> None:
    refused = {"uri": "huge.txt", "cause": "document_too_large", "sentence": "It is too large."}
    ingestion_id = await receive_ingestion([refused], tenant)
    with traced():
        await ingest_stored.fn(ingestion_id, tenant)
    (item,) = (await read_ledger(ingestion_id, tenant)).items
    assert (item.state, item.cause) == ("dead", "document_too_large")


@pytest.mark.parametrize("source", ["", "  ", "/tmp/nul\0byte", "/tmp/half\ud83da pair"])
async def test_what_cannot_name_a_source_is_refused_before_anything_is_stored(
    store: Database, tenant: UUID, source: str
) -> None:
    with pytest.raises(InvalidInput):
        await remember([source], tenant)


async def test_reading_again_costs_nothing_and_a_change_is_a_new_version(
    store: Database, tenant: UUID, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a.md").write_text("Apples are red.")
    (folder / "b.md").write_text("Bananas are yellow.")
    await ingested(tenant, folder)
    embedded: list[str] = []
    embed = Embedder.embed

    async def counted(self: Embedder, texts: list[str], *, purpose: Purpose, **asker: Any) -> Any:
        embedded.extend(texts)
        return await embed(self, texts, purpose=purpose, **asker)

    monkeypatch.setattr(Embedder, "embed", counted)
    again = await ingested(tenant, folder)
    assert (again.unchanged, again.indexed, embedded) == (2, 0, [])
    (folder / "b.md").write_text("Bananas are green at first.")
    changed = await ingested(tenant, folder)
    assert (changed.unchanged, changed.indexed) == (1, 1)
    (passage, *_) = await find_passages("green bananas", tenant, k=1, filters={})
    assert (passage.version, passage.text) == (2, "Bananas are green at first.")


async def test_what_cannot_be_embedded_takes_no_long_document_with_it_that_was_claimed_with_it(
    store: Database, tenant: UUID, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "TOGETHER", 1)
    embed = Embedder.embed

    async def choosy(self: Embedder, texts: list[str], *, purpose: Purpose, **asker: Any) -> Any:
        if "not this" in texts[0]:
            raise InvalidInput("The embedder does not like it.")
        return await embed(self, texts, purpose=purpose, **asker)

    monkeypatch.setattr(Embedder, "embed", choosy)
    for name, words in (("a", "Apples are red."), ("b", "But not this."), ("c", "Cherries are sweet.")):
        (folder / f"{name}.md").write_text(words)
    ledger = await ingested(tenant, folder)
    assert {Path(item.uri).name: item.state for item in ledger.items} == {
        "a.md": "indexed",
        "b.md": "dead",
        "c.md": "indexed",
    }


async def test_each_line_of_a_file_of_records_is_a_document(store: Database, tenant: UUID, folder: Path) -> None:
    lines = [{"_id": f"d{n}", "title": f"Number {n}", "text": f"The number {n} is here."} for n in range(40)]
    path = folder / "corpus.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines) + "\n\n{broken\n")
    ledger = await ingested(tenant, path)
    assert (ledger.accepted, ledger.indexed, ledger.dead) == (41, 40, 1)
    assert (await found("Number 17", tenant))[0] == "d17"


async def test_own_state_is_never_ingested(store: Database, tenant: UUID) -> None:
    secrets = settings().secrets
    secrets.mkdir(parents=True)
    (secrets / "plan.md").write_text("The secret plan.")
    ledger = await ingested(tenant, settings().state)
    assert [item.cause for item in ledger.items] == ["source_forbidden"]


async def test_what_a_dead_worker_left_behind_is_taken_up_again(store: Database, tenant: UUID, folder: Path) -> None:
    (folder / "a.md").write_text("Apples are red.")
    ingestion_id = await receive_ingestion([{"uri": str(folder)}], tenant)
    with traced():
        await ingest_stored.fn(ingestion_id, tenant)
    async with store.transaction(tenant) as connection:
        left = {"state": "running", "claimed_by": None, "document_id": None}
        await connection.execute(update(IngestionItem).values(left))
    with traced():
        await ingest_stored.fn(ingestion_id, tenant)
    ledger = await read_ledger(ingestion_id, tenant)
    assert (ledger.accepted, ledger.unchanged) == (1, 1)


async def test_two_workers_never_hold_the_same_item(store: Database, tenant: UUID, folder: Path) -> None:
    for number in range(30):
        (folder / f"{number}.md").write_text(f"Number {number}.")
    ingestion_id = await receive_ingestion([{"uri": str(folder)}], tenant)
    await accept(ingestion_id, tenant)
    async with at_work():
        batches = await asyncio.gather(*(claim(ingestion_id, tenant, 4) for _ in range(10)))
        batches.append(await claim(ingestion_id, tenant, 30))  # a claim may skip what another holds for a moment
    taken = [item.id for batch in batches for item in batch]
    assert len(taken) == len(set(taken)) == 30


async def test_no_more_is_claimed_than_wanted_however_postgresql_joins(
    store: Database, database_url: str, tenant: UUID, folder: Path
) -> None:
    for number in range(30):
        (folder / f"{number}.md").write_text(f"Number {number}.")
    ingestion_id = await receive_ingestion([{"uri": str(folder)}], tenant)
    await accept(ingestion_id, tenant)
    name = sql.Identifier(str(make_url(database_url).database))
    with psycopg.connect(database_url, autocommit=True) as owner:
        for way in ("hashjoin", "mergejoin", "material", "hashagg", "memoize", "sort", "indexscan", "bitmapscan"):
            owner.execute(sql.SQL("alter database {} set {} = off").format(name, sql.Identifier(f"enable_{way}")))
    await store.close()  # what is opened from now on plans so
    assert len(await claim(ingestion_id, tenant, 4)) == 4


async def test_items_are_taken_over_when_their_run_has_ended_and_not_before(
    store: Database, tenant: UUID, folder: Path
) -> None:
    (folder / "a.md").write_text("Apples are red.")
    ingestion_id = await receive_ingestion([{"uri": str(folder)}], tenant)
    await accept(ingestion_id, tenant)
    async with at_work():
        first = await claim(ingestion_id, tenant, 1)
        async with at_work():
            assert await claim(ingestion_id, tenant, 1) == []
        assert await claim(ingestion_id, tenant, 1) == []
    (taken_over,) = await claim(ingestion_id, tenant, 1)
    readings = await read(first, tenant)
    embedded = await embed_chunks(readings, tenant)
    await index(readings, embedded, tenant)  # by one that does not know that it was taken for dead
    assert (await read_ledger(ingestion_id, tenant)).indexed == 0
    readings = await read([taken_over], tenant)
    await index(readings, await embed_chunks(readings, tenant), tenant)
    assert (await read_ledger(ingestion_id, tenant)).indexed == 1


NO_ROOM = """
create function no_room() returns trigger language plpgsql as $$
begin raise exception 'could not extend file: No space left on device' using errcode = 'disk_full'; end $$;
create trigger no_room before insert on chunk for each row execute function no_room();
"""


async def test_a_database_without_room_stores_nothing_by_halves_and_all_of_it_afterwards(
    store: Database, database_url: str, tenant: UUID, folder: Path
) -> None:
    for name in ("a", "b"):
        (folder / f"{name}.md").write_text(f"Apples of kind {name} are red.")
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute(NO_ROOM)
        ledger = await ingested(tenant, folder)
        assert [item.cause for item in ledger.items] == ["storage_full", "storage_full"]
        for table in ("document", "document_version", "chunk", "chunk_vector", "posting"):
            assert owner.execute(f"select count(*) from {table}").fetchone() == (0,)
        owner.execute("drop trigger no_room on chunk")
    (ingestion_id,) = (await revive(tenant, every=True)).ingestion_ids
    with traced():
        await ingest_stored.fn(ingestion_id, tenant)
    assert (await read_ledger(ingestion_id, tenant)).indexed == 2


async def test_a_record_is_not_read_from_where_another_has_moved_to(
    store: Database, tenant: UUID, folder: Path
) -> None:
    path, records = folder / "corpus.jsonl", [json.dumps({"_id": f"d{n}", "text": f"Number {n}."}) for n in range(3)]
    path.write_text("\n".join(records))
    ingestion_id = await receive_ingestion([{"uri": str(path)}], tenant)
    await accept(ingestion_id, tenant)
    path.write_text("\n".join([records[0], *reversed(records[1:])]))
    with traced():
        await ingest_stored.fn(ingestion_id, tenant)
    ledger = await read_ledger(ingestion_id, tenant)
    assert {item.uri: item.cause for item in ledger.items} == {
        "d0": None,
        "d1": "source_changed",
        "d2": "source_changed",
    }
    again = await ingested(tenant, path)
    assert (again.indexed, again.unchanged, again.dead) == (2, 1, 0)


async def test_an_embedder_that_is_away_costs_its_batch_and_says_so(
    store: Database, tenant: UUID, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a.md").write_text("Apples are red.")

    async def away(self: Embedder, texts: list[str], **options: str):
        raise Unavailable("The embedder is away.")

    monkeypatch.setattr(Embedder, "embed", away)
    monkeypatch.setattr("tasks.step.DELAYS", (0.0,))
    ledger = await ingested(tenant, folder)
    assert [(item.cause, item.sentence) for item in ledger.items] == [("unavailable", "The embedder is away.")]


class Pages(BaseHTTPRequestHandler):
    """Serve one good page, one that fails and one that leads to a private address."""

    def do_GET(self) -> None:
        status = {"/good.html": 200, "/away": 302, "/robots.txt": 404}.get(self.path, 500)
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "http://169.254.169.254/latest/meta-data")
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<title>Walrus</title><p>A walrus can sleep in the water.</p>")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def website() -> Iterator[str]:
    with handled(Pages) as server:
        yield f"http://127.0.0.1:{server.server_port}"


async def test_a_private_address_is_refused_and_an_allowed_page_is_read(
    store: Database, tenant: UUID, website: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = await ingested(tenant, f"{website}/good.html")
    assert [item.cause for item in refused.items] == ["fetch_refused"]
    monkeypatch.setenv("KOWAI_ALLOW_PRIVATE_URLS", "true")
    settings.cache_clear()
    ledger = await ingested(tenant, f"{website}/good.html", f"{website}/broken")
    assert {item.uri.rpartition("/")[2]: item.cause for item in ledger.items} == {
        "good.html": None,
        "broken": "fetch_failed",
    }
    assert await found("Where do walruses sleep?", tenant) == [f"{website}/good.html"]


@pytest.fixture(autouse=True)
def _fresh_reader() -> Iterator[None]:
    yield
    connections.reader().close()
    connections.reader.cache_clear()
