"""What was written is found again, by meaning and by words, by its own tenant, and leaves no trace when it goes."""

import asyncio
import math
from collections import Counter
from collections.abc import Mapping
from uuid import UUID, uuid4
from zlib import crc32

import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

import kowai.search
from blocks.database import Database
from blocks.embedder import Space
from blocks.lender import driver_of
from kowai.errors import SpaceMismatch
from kowai.filters import FilterInvalid
from kowai.indexing import FEW_VECTORS, IndexedDocument
from kowai.search import K1, B
from kowai.types import Chunk, Passage
from tasks.indexing_sql import write_chunks
from tasks.search_sql import Extent, search
from tasks.spaces import open_space

SPACE = Space("toy", 32)
LIBRARY = {
    "tea.md": "green tea and black tea come from one plant and need hot water",
    "coffee.md": "black coffee needs hot water and a filter",
    "oil.md": "the oil embargo of 1973 raised the price of petrol",
    "tax.md": "petrol tax is part of the price at the pump",
    "zoo.md": "penguins parade past the aquarium every noon",
}
ADD_DOCUMENT = text(
    "insert into document (id, tenant_id, external_id, origin, title, media_type, version, content_hash, details,"
    " created_at) values (:id, :tenant, :name, 'upload', :title, :media_type, 1, '', cast(:details as jsonb),"
    " cast(:created as timestamptz))"
)
COUNTED = text("select term, sum(chunks), sum(occurrences) from term_count group by 1 order by 1")
STRANGERS = """
with stranger as (insert into tenant (id, name, suspended) values (gen_random_uuid(), 'stranger', false) returning id)
insert into chunk_vector (chunk_id, space_id, tenant_id, embedding, in_graph)
select 1000 + n, space_id, stranger.id, embedding, false from stranger, generate_series(1, 20) as n,
  (select * from chunk_vector limit 1) as one
"""
HELD = text("select term, count(*), sum(frequency) from posting group by 1 order by 1")


def toy_vector(content: str) -> NDArray[np.float32]:
    """Embed a text as the sum of one random direction a word."""
    words = content.lower().split() or [""]
    total = sum(np.random.default_rng(crc32(word.encode())).normal(size=SPACE.dimensions) for word in words)
    return (total / np.linalg.norm(total)).astype(np.float32)


async def add(connection: AsyncConnection, tenant: UUID, name: str, *pieces: str, **told: str) -> UUID:
    """Write one document, a chunk a piece."""
    document = uuid4()
    row = {"title": None, "media_type": "text/plain", "details": "{}", "created": "2024-01-01"} | told
    await connection.execute(ADD_DOCUMENT, {"id": document, "tenant": tenant, "name": name} | row)
    chunks = [Chunk(ordinal, 0, len(piece), None, "", piece) for ordinal, piece in enumerate(pieces)]
    vectors = [toy_vector(piece) for piece in pieces]
    indexed = IndexedDocument(document, 1, told.get("title"), chunks, vectors)
    await write_chunks(connection, [indexed], space_id=await open_space(connection, SPACE))
    return document


async def add_all(store: Database, tenant: UUID, library: Mapping[str, str] = LIBRARY) -> None:
    async with store.transaction(tenant) as connection:
        for name, content in library.items():
            await add(connection, tenant, name, content)


async def find(store: Database, tenant: UUID, question: str, k: int = 10, **filters: object) -> list[Passage]:
    async with store.transaction(tenant) as connection:
        return await search(connection, question, toy_vector(question), space="toy", k=k, filters=filters)


async def names(store: Database, tenant: UUID, question: str, k: int = 10, **filters: object) -> list[str]:
    return [passage.external_id for passage in await find(store, tenant, question, k, **filters)]


async def counts_and_postings(store: Database, tenant: UUID) -> tuple[list[object], list[object]]:
    async with store.transaction(tenant) as connection:
        counted, held = await connection.execute(COUNTED), await connection.execute(HELD)
        return [tuple(row) for row in counted], [tuple(row) for row in held]


def bm25(question: str, name: str) -> float:
    """Score by the textbook; the words of the library are chosen to be their own stems."""
    stop = {"and", "from", "the", "of", "at", "is", "a"}
    bags = {key: Counter(word for word in content.split() if word not in stop) for key, content in LIBRARY.items()}
    mean = sum(map(Counter.total, bags.values())) / len(bags)
    bag, score = bags[name], 0.0
    for word in question.split():
        holding = sum(word in other for other in bags.values())
        idf = math.log(1 + (len(bags) - holding + 0.5) / (holding + 0.5))
        score += idf * bag[word] * (K1 + 1) / (bag[word] + K1 * (1 - B + B * bag.total() / mean))
    return score


def never_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kowai.search.Survey, "exact", False)


async def test_every_candidate_is_scored_exactly_by_both_halves(store: Database, tenant: UUID) -> None:
    await add_all(store, tenant)
    question = "black tea hot"
    found = {passage.external_id: passage for passage in await find(store, tenant, question)}
    assert set(found) == set(LIBRARY)
    for name, passage in found.items():
        assert passage.lexical == pytest.approx(bm25(question, name), rel=1e-6)
        assert passage.dense == pytest.approx(float(toy_vector(question) @ toy_vector(LIBRARY[name])), abs=2e-3)
    assert next(iter(found)) == "tea.md"


async def test_terms_beyond_the_budget_propose_nothing_but_count(
    store: Database, tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_all(store, tenant)
    whole = await find(store, tenant, "black water petrol price tea")
    monkeypatch.setattr(kowai.search, "POSTINGS", 1)
    assert await find(store, tenant, "black water petrol price tea") == whole


@pytest.mark.parametrize("inside", ["true", "false", "chunk_id % 2 = 0"], ids=["all", "none", "half"])
async def test_the_vector_index_and_what_is_outside_of_it_find_what_comparing_every_vector_finds(
    store: Database, tenant: UUID, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    await add_all(store, tenant)
    exact = await find(store, tenant, "hot black water")
    never_exact(monkeypatch)
    async with store.transaction(tenant) as connection:
        await connection.execute(text(f"update chunk_vector set in_graph = {inside}"))
    assert await find(store, tenant, "hot black water") == exact
    assert await names(store, tenant, "hot black water", external_id="tea.md") == ["tea.md"]


async def test_once_a_tenant_is_large_its_vectors_enter_the_graph_and_take_the_earlier_ones_along(
    store: Database, tenant: UUID
) -> None:
    async def outside() -> list[bool]:
        return list(await connection.scalars(text("select not in_graph from chunk_vector order by chunk_id")))

    async with store.transaction(tenant) as connection:
        await add(connection, tenant, "tea.md", *LIBRARY.values())
        assert await outside() == [True] * 5
        grown = "insert into term_count (tenant_id, term, chunks, occurrences) values (:tenant, '', :more, :more)"
        await connection.execute(text(grown), {"tenant": tenant, "more": FEW_VECTORS - 5})
        await add(connection, tenant, "two.md", "petrol tax", "penguins parade")
        assert sum(await outside()) == 3
        assert (await outside())[5:] == [False, False]
        await add(connection, tenant, "rest.md", "hot water", "black tea", "black coffee", "the oil price")
        assert not any(await outside())


async def test_a_large_tenant_is_searched_through_its_space_s_index(
    store: Database, tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_all(store, tenant)
    never_exact(monkeypatch)
    async with store.transaction(tenant) as connection:
        await driver_of(connection).execute("set local enable_sort = off")
        assert "using ix_space_" in await plan_of(connection, "hot black water")


async def test_a_small_tenant_s_vectors_are_found_without_reading_everybody_s(
    store: Database, tenant: UUID, database_url: str
) -> None:
    await add_all(store, tenant)
    async with await psycopg.AsyncConnection.connect(database_url) as owner:
        await owner.execute(STRANGERS)
        await owner.execute("analyze chunk_vector")
    async with store.transaction(tenant) as connection:
        assert "Seq Scan on chunk_vector" not in await plan_of(connection, "hot black water")


async def plan_of(connection: AsyncConnection, question: str) -> str:
    """Return the plan of a search's second statement."""
    everything = kowai.search.Filters()
    sql, parameters = kowai.search.survey(question, everything, space="toy", dimensions=SPACE.dimensions)
    rows = await (await driver_of(connection).execute(sql, parameters)).fetchall()
    known = kowai.search.surveyed(rows)
    weighted, vector = kowai.search.weigh(question, known), toy_vector(question).tolist()
    sql, parameters = kowai.search.find(vector, known, weighted, everything, space_id=known.space_id or 0, pool=10)
    planned = await driver_of(connection).execute(f"explain {sql}", parameters)
    return " ".join(line for (line,) in await planned.fetchall())


@pytest.mark.parametrize("few", [20_000, 0], ids=["few documents admitted", "many documents admitted"])
@pytest.mark.parametrize(
    ("filters", "admitted"),
    [
        ({"external_ids": ["tea.md", "zoo.md"]}, ["tea.md", "zoo.md"]),
        ({"external_id": "zoo.md"}, ["zoo.md"]),
        ({"media_type": "text/html"}, ["page.html"]),
        ({"metadata": {"team": "ops"}}, ["page.html"]),
        ({"created_since": "2025-01-01"}, ["page.html"]),
        ({"created_until": "2025-01-01", "external_ids": ["tea.md", "page.html"]}, ["tea.md"]),
        ({"metadata": {"team": "nobody"}}, []),
    ],
    ids=str,
)
async def test_filters_admit_every_document_they_describe_and_no_other(
    store: Database,
    tenant: UUID,
    monkeypatch: pytest.MonkeyPatch,
    filters: dict[str, object],
    admitted: list[str],
    few: int,
) -> None:
    await add_all(store, tenant)
    told = {"media_type": "text/html", "details": '{"team": "ops"}', "created": "2025-06-01"}
    async with store.transaction(tenant) as connection:
        await add(connection, tenant, "page.html", "a page about penguins", **told)
    monkeypatch.setattr(kowai.search, "FEW", few)
    never_exact(monkeypatch)
    assert sorted(await names(store, tenant, "black tea", **filters)) == sorted(admitted)


async def test_passages_that_match_too_weakly_are_left_out(store: Database, tenant: UUID) -> None:
    await add_all(store, tenant)
    found = await find(store, tenant, "black tea hot")
    async with store.transaction(tenant) as connection:
        vector, extent = toy_vector("black tea hot"), Extent(min_score=found[1].score)
        strong = await search(connection, "black tea hot", vector, space="toy", extent=extent)
    assert strong == found[:2]


async def test_the_chunks_around_a_passage_join_it_under_its_heading_as_the_document_has_them(
    store: Database, tenant: UUID
) -> None:
    text_of = "one apple two pears three plums four limes five figs"
    spans = [(0, 9, "A"), (4, 19, "A"), (14, 31, "A"), (26, 42, "A"), (38, 52, "B")]
    chunks = [Chunk(n, start, end, None, path, text_of[start:end]) for n, (start, end, path) in enumerate(spans)]
    async with store.transaction(tenant) as connection:
        document = await add(connection, tenant, "fruit.md")
        added = "insert into document_version (id, tenant_id, document_id, version, content_hash, text)"
        values = " values (gen_random_uuid(), :tenant, :document, 1, '', :text)"
        await connection.execute(text(added + values), {"tenant": tenant, "document": document, "text": text_of})
        vectors = [toy_vector(chunk.text) for chunk in chunks]
        indexed = IndexedDocument(document, 1, None, chunks, vectors)
        await write_chunks(connection, [indexed], space_id=await open_space(connection, SPACE))
        for neighbours, start, end in ((0, 14, 31), (1, 4, 42), (5, 0, 42)):
            question, extent = "three plums", Extent(neighbours=neighbours)
            (best, *_) = await search(connection, question, toy_vector(question), space="toy", extent=extent)
            assert (best.start, best.end, best.text) == (start, end, text_of[start:end])


async def test_a_filter_nobody_knows_is_refused_by_name(store: Database, tenant: UUID) -> None:
    with pytest.raises(FilterInvalid, match=r"'colour'.*Known filters: document_ids, external_ids"):
        await find(store, tenant, "tea", colour="green")


async def test_a_tenant_finds_its_own_documents_only(store: Database, tenant: UUID, other_tenant: UUID) -> None:
    await add_all(store, tenant)
    await add_all(store, other_tenant, {"mine.md": "tea for two"})
    assert await names(store, other_tenant, "black tea") == ["mine.md"]
    (mine,) = await find(store, other_tenant, "tea")
    assert mine.lexical == pytest.approx(math.log(1 + 0.5 / 1.5))


async def test_a_title_helps_to_find_a_document(store: Database, tenant: UUID) -> None:
    async with store.transaction(tenant) as connection:
        await add(connection, tenant, "a", "revenue rose in the third quarter", title="Initech annual report")
        await add(connection, tenant, "b", "revenue rose in the third quarter", title="Hooli annual report")
    assert (await names(store, tenant, "how did Hooli do"))[0] == "b"


async def test_a_document_of_many_passages_does_not_crowd_out_the_others(store: Database, tenant: UUID) -> None:
    async with store.transaction(tenant) as connection:
        await add(connection, tenant, "short.md", "hot black tea", "hot black tea again")
        await add(connection, tenant, "other.md", "hot tea")
    assert await names(store, tenant, "hot black tea", k=2) == ["short.md", "other.md"]


async def test_words_alone_that_nobody_searches_for_are_found_by_meaning(store: Database, tenant: UUID) -> None:
    await add_all(store, tenant, {"hamlet.md": "to be or not to be"})
    (passage,) = await find(store, tenant, "to be or not to be")
    assert passage.dense == pytest.approx(1.0, abs=1e-3)
    assert passage.lexical == 0.0


@pytest.mark.parametrize("question", ["100% 'quoted' \"tea\" \\ $1 %s %(x)s ; --", "東京の天気", "tea " * 2000, "?!"])
async def test_any_question_can_be_asked(store: Database, tenant: UUID, question: str) -> None:
    await add_all(store, tenant)
    assert len(await find(store, tenant, question)) == len(LIBRARY)


async def test_more_may_be_asked_for_than_there_is(store: Database, tenant: UUID) -> None:
    await add_all(store, tenant)
    assert len(await find(store, tenant, "tea", k=1000)) == len(LIBRARY)


async def test_an_empty_tenant_finds_nothing(store: Database, tenant: UUID) -> None:
    assert await find(store, tenant, "tea") == []


async def test_vectors_of_another_model_are_never_compared(store: Database, tenant: UUID) -> None:
    await add_all(store, tenant)
    with pytest.raises(SpaceMismatch, match="another-model"):
        async with store.transaction(tenant) as connection:
            await search(connection, "tea", toy_vector("tea"), space="another-model")


async def test_a_deleted_document_leaves_no_vector_no_posting_and_no_count(store: Database, tenant: UUID) -> None:
    await add_all(store, tenant)
    async with store.transaction(tenant) as connection:
        await connection.execute(text("delete from document where external_id <> 'zoo.md'"))
    counted, held = await counts_and_postings(store, tenant)
    assert counted == held
    async with store.transaction(tenant) as connection:
        await connection.execute(text("delete from document"))
        left = "select (select count(*) from chunk_vector) + (select count(*) from term_count)"
        assert await connection.scalar(text(left)) == 0
    assert await find(store, tenant, "tea") == []


async def test_a_deleted_tenant_leaves_nothing_and_touches_nobody_else(
    store: Database, database_url: str, tenant: UUID, other_tenant: UUID
) -> None:
    await add_all(store, tenant)
    await add_all(store, other_tenant)
    before = await counts_and_postings(store, other_tenant)
    async with await psycopg.AsyncConnection.connect(database_url) as owner:
        await owner.execute("delete from tenant where id = %s", (tenant,))
    assert await counts_and_postings(store, tenant) == ([], [])
    assert await counts_and_postings(store, other_tenant) == before


async def test_what_is_rolled_back_was_never_there(store: Database, tenant: UUID) -> None:
    await add_all(store, tenant)
    before = await counts_and_postings(store, tenant)
    async with store.transaction(tenant) as connection:
        await add(connection, tenant, "lost.md", "black tea that is lost")
        await connection.rollback()
    assert await counts_and_postings(store, tenant) == before


async def test_counts_stay_exact_while_many_write_and_delete_at_once(store: Database, tenant: UUID) -> None:
    async def write(number: int) -> None:
        async with store.transaction(tenant) as connection:
            for part in range(3):
                await add(connection, tenant, f"{number}-{part}", "black tea", f"hot water {'wxyz'[number % 4]}")
                await asyncio.sleep(0.005)

    async def forget(number: int) -> None:
        async with store.transaction(tenant) as connection:
            await connection.execute(text("delete from document where external_id = :name"), {"name": f"{number}-1"})
            await asyncio.sleep(0.01)

    await asyncio.gather(*(write(number) for number in range(8)))
    await asyncio.gather(*(write(number) for number in range(8, 16)), *(forget(number) for number in range(8)))
    counted, held = await counts_and_postings(store, tenant)
    assert counted == held
    assert counted[0] == ("", 80, 200)


async def test_counts_scattered_by_writers_are_folded_by_the_next_one(store: Database, tenant: UUID) -> None:
    async def write(number: int) -> None:
        async with store.transaction(tenant) as connection:
            await add(connection, tenant, str(number), "black tea")
            await asyncio.sleep(0.05)

    await asyncio.gather(*(write(number) for number in range(6)))
    await write(6)
    async with store.transaction(tenant) as connection:
        rows = await connection.execute(text("select term, chunks from term_count order by term"))
        assert [tuple(row) for row in rows] == [("", 7), ("black", 7), ("tea", 7)]
