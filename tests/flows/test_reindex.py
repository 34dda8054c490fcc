"""Knowledge moves to another embedding model without a gap, without a loss, and only if it is found as well."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4
from zlib import crc32

import numpy as np
import psycopg
import pytest
from sqlalchemy import insert, text

from blocks import connections
from blocks.connections import Known
from blocks.database import Database
from blocks.embedder import Embedder
from flows.ingest import ingest_stored
from flows.promote import run_promotion
from flows.reindex import reindex, reindex_stored
from kowai.errors import EmbedderRefused, NotFound, SpaceMismatch, SpaceUnready
from kowai.suite_formats import read_suite
from kowai.tables.queries import AnswerRow, Query
from kowai.versions import BadVersion
from tasks import reindex as steps
from tasks import vectors
from tasks.promote import receive_promotion
from tasks.receive import receive_ingestion
from tasks.reindex import begin_space, drop_spaces, fill_space, restore_space
from tasks.retrieve import find_passages
from tasks.step import traced
from tasks.suites import receive_suite
from tasks.versions import receive_version
from tests.flows.conftest import rows
from tests.serving import handled

SYNONYMS = {"hound": "dog", "feline": "cat", "infusion": "tea", "motor": "car", "vessel": "ship", "blossom": "rose"}
HELD = """
select s.model, s.state, count(v.chunk_id) from embedding_space s left join chunk_vector v on v.space_id = s.id
where s.retired_at is null group by 1, 2 order by 1
"""


class Endpoint(BaseHTTPRequestHandler):
    """Answer /embeddings with one random direction a word; the model 'blind' sees no difference between texts."""

    server: Any

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if body["model"] == "broken":
            return self.send_error(400)
        self.server.asked.extend(body["input"])
        data = [
            {"index": n, "embedding": _vector(content, body["model"], body["dimensions"]).tolist()}
            for n, content in enumerate(body["input"])
        ]
        reply = json.dumps({"data": data}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, format: str, *args: object) -> None: ...


def _vector(content: str, model: str, dimensions: int) -> Any:
    words = [SYNONYMS.get(word, word) for word in content.lower().replace(".", "").split()] or [""]
    if model == "blind":
        words = ["nothing"]
    return sum(np.random.default_rng(crc32(f"{model} {word}".encode())).normal(size=dimensions) for word in words)


@pytest.fixture
def server() -> Iterator[Any]:
    with handled(Endpoint) as server:
        server.asked = []
        yield server


@pytest.fixture(autouse=True)
def use(server: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that saves an embedder block; the block 'kowai' exists."""
    monkeypatch.setattr(steps, "GRACE_SECONDS", 0.05)

    def save(name: str, model: str, dimensions: int) -> None:
        endpoint = f"http://127.0.0.1:{server.server_port}/v1"
        block = Embedder(provider="openai", endpoint=endpoint, model=model, dimensions=dimensions, price=Decimal(0))
        key = Embedder if name == "kowai" else (Embedder, name)
        monkeypatch.setitem(connections._known, key, Known(block, float("inf")))  # pyright: ignore[reportPrivateUsage]

    save("kowai", "old", 32)
    return save


async def learn(tenant: UUID, folder: Path, **texts: str) -> None:
    folder.mkdir(exist_ok=True)
    for name, content in texts.items():
        (folder / f"{name}.txt").write_text(content)
    uris = [{"uri": str(folder / f"{name}.txt")} for name in texts]
    ingestion_id = await receive_ingestion(uris, tenant)
    await ingest_stored.fn(ingestion_id, tenant)


async def held(store: Database, tenant: UUID) -> list[tuple[Any, ...]]:
    async with store.transaction(tenant) as connection:
        return [tuple(row) for row in await connection.execute(text(HELD))]


async def test_questions_and_documents_keep_coming_while_the_space_is_switched(
    store: Database, tenant: UUID, other_tenant: UUID, tmp_path: Path, use: Callable[..., None]
) -> None:
    use("next", "new", 48)
    await learn(tenant, tmp_path, **{f"note{n}": f"The dog number{n} sleeps at home{n}." for n in range(40)})
    await learn(other_tenant, tmp_path, theirs="A cat that nobody else knows.")
    moving = asyncio.create_task(reindex.fn("next"))
    asked = 0
    while asked < 3 or not moving.done():
        found = await find_passages(f"dog number{asked % 40}", tenant, k=3, filters={})
        assert found[0].text == f"The dog number{asked % 40} sleeps at home{asked % 40}."
        assert all(passage.dense is not None for passage in found)
        await learn(tenant, tmp_path, **{f"late{asked}": f"A late ship{asked} arrives."})
        asked += 1
    await moving
    assert await held(store, tenant) == [("new", "current", 40 + asked)]
    assert await held(store, other_tenant) == [("new", "current", 1)]
    (passage,) = await find_passages(f"ship{asked - 1}", tenant, k=1, filters={})
    assert passage.text == f"A late ship{asked - 1} arrives."


async def test_an_interrupted_build_embeds_nothing_twice(
    store: Database,
    tenant: UUID,
    tmp_path: Path,
    use: Callable[..., None],
    server: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use("next", "new", 48)
    monkeypatch.setattr(vectors, "BATCH", 4)
    monkeypatch.setattr(steps, "AT_ONCE", 4)
    await learn(tenant, tmp_path, **{f"n{n}": f"Note number {n}." for n in range(10)})
    server.asked.clear()
    space = await begin_space("next")
    assert await fill_space(tenant, space) == 4
    assert await find_passages("note", tenant, k=1, filters={})
    server.asked.clear()
    await reindex.fn("next")
    assert len(server.asked) == 6
    assert await held(store, tenant) == [("new", "current", 10)]


async def test_a_document_that_was_embedded_before_the_switch_is_embedded_again(
    store: Database, tenant: UUID, tmp_path: Path, use: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    use("next", "new", 48)
    await learn(tenant, tmp_path, first="The first dog.")
    from flows import ingest
    from tasks.embed import embed_chunks

    async def then_switched(readings: Any, tenant_id: UUID) -> Any:
        embedded = await embed_chunks(readings, tenant_id)
        if embedded.space.model == "old":
            await reindex.fn("next")
        return embedded

    monkeypatch.setattr(ingest, "embed_chunks", then_switched)
    await learn(tenant, tmp_path, second="The second dog.")
    assert await held(store, tenant) == [("new", "current", 2)]


async def store_answers(store: Database, tenant: UUID, questions: dict[str, str]) -> None:
    async with store.transaction(tenant) as connection:
        for question, name in questions.items():
            query_id, found = uuid4(), text("select id from document where external_id like :name")
            document_id = await connection.scalar(found, {"name": f"%{name}.txt"})
            cited = {"document_id": str(document_id), "version": 1, "start": 0, "end": 5}
            asked = {"id": query_id, "text": question, "standalone": question, "persona": "assistant"}
            await connection.execute(insert(Query).values(tenant_id=tenant, status="done", **asked))
            answer = {"text": name, "citations": [cited], "abstained": False, "model": "test"}
            await connection.execute(insert(AnswerRow).values(tenant_id=tenant, query_id=query_id, **answer))


@pytest.mark.parametrize(("model", "state"), [("blind", "retired"), ("new", "current")])
async def test_a_space_that_finds_less_of_what_answers_cite_is_not_switched_to(
    store: Database,
    tenant: UUID,
    tmp_path: Path,
    use: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    state: str,
) -> None:
    use("next", model, 48)
    monkeypatch.setattr(steps, "PASSAGES", 1)
    await learn(tenant, tmp_path, **{word: f"{word} {word} {word}." for word in SYNONYMS.values()})
    await store_answers(store, tenant, SYNONYMS)
    await reindex.fn("next")
    assert (model, state, 6) in await held(store, tenant)
    async with store.transaction(tenant) as connection:
        told = await connection.scalar(text("select evaluation from embedding_space where embedder = 'next'"))
    assert told == {"questions": 6, "recall_before": 1.0, "recall": told["recall"], "accepted": state == "current"}
    assert (told["recall"] == 1.0) == (state == "current")


@pytest.mark.usefixtures("store")
async def test_one_space_is_built_at_a_time(tenant: UUID, tmp_path: Path, use: Callable[..., None]) -> None:
    use("next", "new", 48)
    use("third", "other", 16)
    await learn(tenant, tmp_path, tea="Tea.")
    await begin_space("next")
    with pytest.raises(SpaceUnready, match="finish it"):
        await begin_space("third")


async def test_a_space_that_is_refused_or_fails_keeps_nobody_from_building_another_and_is_not_paid_for_again(
    store: Database,
    tenant: UUID,
    tmp_path: Path,
    use: Callable[..., None],
    server: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use("blind", "blind", 48)
    use("third", "broken", 16)
    monkeypatch.setattr(steps, "PASSAGES", 1)
    await learn(tenant, tmp_path, **{word: f"{word} {word}." for word in SYNONYMS.values()})
    await store_answers(store, tenant, SYNONYMS)
    await reindex.fn("blind")
    with pytest.raises(EmbedderRefused):
        await reindex.fn("third")
    states = {model: state for model, state, _ in await held(store, tenant)}
    assert states == {"old": "current", "blind": "retired", "broken": "retired"}
    server.asked.clear()
    await reindex.fn("blind", allowed_loss=1.0)
    assert ("blind", "current", 6) in await held(store, tenant)
    assert not any(word in asked for asked in server.asked for word in SYNONYMS.values())


@pytest.mark.usefixtures("store")
async def test_an_embedder_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections._known, (Embedder, "nobody"), Known(None, float("inf")))  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(NotFound, match="kowai-embedder/nobody"):
        await begin_space("nobody")


@pytest.mark.usefixtures("store")
async def test_a_block_that_was_changed_in_place_is_refused(
    tenant: UUID, tmp_path: Path, use: Callable[..., None]
) -> None:
    await learn(tenant, tmp_path, tea="Tea.")
    use("kowai", "changed", 16)
    with pytest.raises(SpaceMismatch):
        await find_passages("tea", tenant, k=1, filters={})


async def test_past_versions_move_as_well(
    store: Database, tenant: UUID, tmp_path: Path, use: Callable[..., None]
) -> None:
    use("next", "new", 48)
    await learn(tenant, tmp_path, tea="Green tea.")
    await learn(tenant, tmp_path, tea="Black tea.")
    with traced():
        await reindex.fn("next")
    async with store.transaction(tenant) as connection:
        past = text("select s.model from past_vector join embedding_space s on s.id = space_id where state = 'current'")
        assert list(await connection.scalars(past)) == ["new"]


async def put_to_the_gate(embedder: str, tenant: UUID, asked: Mapping[str, str] = SYNONYMS) -> tuple[str, UUID]:
    """Return how the promotion of an embedder's space ends, decided by a suite of synonyms."""
    cases = [{"id": word, "question": word, "documents": [f"{meant}.txt"]} for word, meant in asked.items()]
    suite = read_suite({"s.yaml": json.dumps({"name": "s", "cases": cases}).encode()}, "s", "native").suite
    suite_id = await receive_suite(suite, "test", tenant)
    version_id = await receive_version("space", {"embedder": embedder}, tenant)
    promotion_id = await receive_promotion(version_id, suite_id, tenant)
    with traced():
        return (await run_promotion.fn(promotion_id, tenant)).name, promotion_id


async def test_a_bad_space_is_refused_by_the_gate_which_names_the_questions_and_gives_it_up(
    store: Database, tenant: UUID, tmp_path: Path, use: Callable[..., None], database_url: str
) -> None:
    use("next", "blind", 48)
    use("third", "new", 16)
    await learn(tenant, tmp_path, **{word: f"{word} {word} {word}." for word in SYNONYMS.values()})
    name, promotion_id = await put_to_the_gate("next", tenant)
    (found,) = rows(database_url, f"select * from promotion where id = '{promotion_id}'")
    assert name == "Refused"
    assert {change["metric"] for change in found["comparison"]["changes"] if change["regressed"]} >= {"mrr"}
    worse = {question["case"] for question in found["comparison"]["questions"]}
    assert worse
    assert worse <= {*SYNONYMS}
    assert all(case in found["sentence"] for case in worse)
    assert await held(store, tenant) == [("old", "current", 6)]
    with traced():
        assert (await run_promotion.fn(promotion_id, tenant)).name == "Refused"
    await begin_space("third")  # nothing stands in its way


async def test_an_equal_space_is_switched_to_by_the_gate(
    store: Database, tenant: UUID, other_tenant: UUID, tmp_path: Path, use: Callable[..., None], database_url: str
) -> None:
    use("next", "new", 48)
    await learn(tenant, tmp_path, **{word: f"{word} {word} {word}." for word in SYNONYMS.values()})
    await learn(other_tenant, tmp_path, theirs="A cat that nobody else knows.")
    name, promotion_id = await put_to_the_gate("next", tenant)
    assert name == "Promoted"
    assert await held(store, tenant) == [("new", "current", 6)]
    assert await held(store, other_tenant) == [("new", "current", 1)]
    assert rows(database_url, "select * from live_setting") == []  # every tenant's, and so no setting of one
    (passage,) = await find_passages("hound", tenant, k=1, filters={})
    assert passage.text == "dog dog dog."
    with traced():
        assert (await run_promotion.fn(promotion_id, tenant)).name == "Promoted"


async def test_the_space_before_is_filled_up_and_gone_back_to_without_a_question(
    store: Database, tenant: UUID, tmp_path: Path, use: Callable[..., None], server: Any
) -> None:
    use("next", "new", 48)
    await learn(tenant, tmp_path, dog="A dog.", cat="A cat.")
    await reindex.fn("next")
    await learn(tenant, tmp_path, tea="Green tea.")
    server.asked.clear()
    space = await restore_space()
    with traced():
        await reindex_stored.fn(space.public_id, tenant)
    assert server.asked == ["tea\nGreen tea."]  # the others' vectors were kept
    assert await held(store, tenant) == [("old", "current", 3)]
    (passage,) = await find_passages("tea", tenant, k=1, filters={})
    assert passage.text == "Green tea."


async def test_a_space_is_gone_back_to_as_long_as_it_is_kept_and_its_embedder_makes_it(
    store: Database, tenant: UUID, tmp_path: Path, use: Callable[..., None], database_url: str
) -> None:
    use("next", "new", 48)
    await learn(tenant, tmp_path, dog="A dog.")
    with pytest.raises(SpaceUnready, match="no longer there"):
        await restore_space()
    await reindex.fn("next")
    use("kowai", "changed", 16)
    with pytest.raises(SpaceUnready, match="'kowai' no longer makes"):
        await restore_space()
    use("kowai", "old", 32)
    with psycopg.connect(database_url) as owner:
        owner.execute("update embedding_space set retired_at = now() - interval '8 days' where state = 'retired'")
    with pytest.raises(SpaceUnready, match="no longer there"):
        await restore_space()
    assert await drop_spaces([tenant]) == 1
    assert [row["state"] for row in rows(database_url, "select state from embedding_space")] == ["current"]


async def test_a_space_that_finds_less_for_other_tenants_is_refused_whatever_the_suite_says(
    store: Database,
    tenant: UUID,
    other_tenant: UUID,
    tmp_path: Path,
    use: Callable[..., None],
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use("next", "blind", 48)
    monkeypatch.setattr(steps, "PASSAGES", 1)
    await learn(tenant, tmp_path, dog="dog dog dog.")
    texts = {word: f"{word} {word} {word}." for word in SYNONYMS.values()}
    await learn(other_tenant, tmp_path / "theirs", **texts)
    await store_answers(store, other_tenant, SYNONYMS)
    name, promotion_id = await put_to_the_gate("next", tenant, {"hound": "dog"})
    (found,) = rows(database_url, f"select sentence from promotion where id = '{promotion_id}'")
    assert (name, "all tenants" in found["sentence"]) == ("Refused", True)
    assert await held(store, tenant) == [("old", "current", 1)]


async def test_a_space_that_cannot_be_named_is_no_version(tenant: UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections._known, (Embedder, "nobody"), Known(None, float("inf")))  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(BadVersion, match="kowai-embedder/nobody"):
        await receive_version("space", {"embedder": "nobody"}, tenant)
