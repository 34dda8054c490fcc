"""A document's rows, vectors and words change together, and doing it twice changes nothing."""

from uuid import UUID, uuid4

import numpy as np
import pytest
from sqlalchemy import func, insert
from sqlmodel import col, select

from blocks.database import Database
from blocks.embedder import Space
from kowai.errors import SpaceMismatch
from kowai.tables.ingestion import Ingestion, IngestionItem
from kowai.tables.knowledge import ChunkRow, ChunkVector, Document, DocumentVersion, Posting
from kowai.types import Chunk, LoadedDocument
from tasks.embed import Embedded
from tasks.index import index
from tasks.read import Reading
from tasks.search_sql import search

SPACE = Space("tiny", 3)
TABLES = (Document, DocumentVersion, ChunkRow, ChunkVector)


async def accepted(store: Database, tenant: UUID, uri: str) -> UUID:
    ingestion_id, item_id = uuid4(), uuid4()
    async with store.transaction(tenant) as connection:
        await connection.execute(insert(Ingestion).values(id=ingestion_id, tenant_id=tenant))
        item = {"id": item_id, "tenant_id": tenant, "ingestion_id": ingestion_id, "uri": uri, "state": "running"}
        await connection.execute(insert(IngestionItem).values(item))
    return item_id


async def learn(store: Database, tenant: UUID, uri: str, text: str, space: Space = SPACE) -> str:
    """Index one document of one chunk and return the state its item ended in."""
    item_id = await accepted(store, tenant, uri)
    chunk = Chunk(ordinal=0, start=0, end=len(text), page=None, heading_path="", text=text)
    loaded = LoadedDocument(text=text, media_type="text/plain")
    known = {"item_id": item_id, "external_id": uri, "origin": "upload", "content_hash": text}
    reading = Reading(**known, document=loaded, chunks=(chunk,))
    vectors = np.ones((1, space.dimensions), np.float32) / np.sqrt(space.dimensions)
    await index([reading], Embedded(space, {item_id: vectors}), tenant)
    return await state_of(store, tenant, item_id)


async def state_of(store: Database, tenant: UUID, item_id: UUID) -> str:
    async with store.transaction(tenant) as connection:
        found = select(col(IngestionItem.state)).where(col(IngestionItem.id) == item_id)
        return (await connection.scalars(found)).one()


async def counts(store: Database, tenant: UUID) -> tuple[int, ...]:
    async with store.transaction(tenant) as connection:
        return tuple([await connection.scalar(select(func.count()).select_from(table)) or 0 for table in TABLES])


async def test_an_indexed_document_is_found_with_its_provenance(store: Database, tenant: UUID) -> None:
    assert await learn(store, tenant, "tea.md", "Tea is steeped for four minutes.") == "indexed"
    async with store.transaction(tenant) as connection:
        (passage,) = await search(connection, "steeped tea", [1.0, 0.0, 0.0], space="tiny")
    assert (passage.external_id, passage.version, passage.start) == ("tea.md", 1, 0)
    assert passage.text == "Tea is steeped for four minutes."
    assert 0 < passage.score <= 1


async def test_documents_that_say_the_same_are_told_apart_by_the_name_a_question_uses(
    store: Database, tenant: UUID
) -> None:
    for name in ("nordwind-2019.txt", "nordwind-2020.txt", "helios_2020.txt"):
        await learn(store, tenant, name, "The dividend rose to forty cents a share.")
    for question, name in (("dividend of Nordwind in 2020", "nordwind-2020.txt"), ("Helios 2020", "helios_2020.txt")):
        async with store.transaction(tenant) as connection:
            found = await search(connection, question, [1.0, 0.0, 0.0], space="tiny")
        assert found[0].external_id == name


async def test_the_same_content_again_is_unchanged_and_adds_nothing(store: Database, tenant: UUID) -> None:
    await learn(store, tenant, "tea.md", "Tea is steeped.")
    before = await counts(store, tenant)
    assert await learn(store, tenant, "tea.md", "Tea is steeped.") == "unchanged"
    assert await counts(store, tenant) == before


async def test_changed_content_becomes_a_new_version_and_the_old_words_are_gone(store: Database, tenant: UUID) -> None:
    await learn(store, tenant, "drinks.md", "Tea is steeped.")
    assert await learn(store, tenant, "drinks.md", "Coffee is pressed.") == "indexed"
    assert await counts(store, tenant) == (1, 2, 1, 1)
    async with store.transaction(tenant) as connection:
        words = set(await connection.scalars(select(col(Posting.term))))
        (passage,) = await search(connection, "coffee", [1.0, 0.0, 0.0], space="tiny")
    assert passage.version == 2
    assert not words & {"tea", "steep"}


async def test_a_document_that_could_not_be_read_is_dead_with_its_cause(store: Database, tenant: UUID) -> None:
    item_id = await accepted(store, tenant, "broken.pdf")
    dead = Reading(item_id=item_id, external_id="broken.pdf", origin="upload", cause="corrupt", sentence="Broken.")
    await index([dead], Embedded(SPACE, {}), tenant)
    assert await state_of(store, tenant, item_id) == "dead"
    assert await counts(store, tenant) == (0, 0, 0, 0)


async def test_a_second_vector_space_is_refused_and_nothing_of_it_stays(store: Database, tenant: UUID) -> None:
    await learn(store, tenant, "tea.md", "Tea is steeped.")
    before = await counts(store, tenant)
    with pytest.raises(SpaceMismatch, match="tiny"):
        await learn(store, tenant, "coffee.md", "Coffee is pressed.", Space("other", 4))
    assert await counts(store, tenant) == before


async def test_tenants_may_know_different_documents_by_the_same_id(
    store: Database, tenant: UUID, other_tenant: UUID
) -> None:
    await learn(store, tenant, "tea.md", "Tea is green.")
    await learn(store, other_tenant, "tea.md", "Tea is black.")
    async with store.transaction(other_tenant) as connection:
        (passage,) = await search(connection, "tea", [1.0, 0.0, 0.0], space="tiny")
    assert passage.text == "Tea is black."


async def test_a_document_the_database_refuses_dies_alone(store: Database, tenant: UUID) -> None:
    good, bad = await accepted(store, tenant, "good.md"), await accepted(store, tenant, "bad.md")
    texts = {good: "Tea is steeped.", bad: "A null byte \0 cannot be stored."}
    readings = [
        Reading(
            item_id=item_id,
            external_id=str(item_id),
            origin="upload",
            content_hash=text,
            document=LoadedDocument(text=text, media_type="text/plain"),
            chunks=(Chunk(ordinal=0, start=0, end=len(text), page=None, heading_path="", text=text),),
        )
        for item_id, text in texts.items()
    ]
    vectors = dict.fromkeys(texts, np.ones((1, 3), np.float32))
    await index(readings, Embedded(SPACE, vectors), tenant)
    assert await state_of(store, tenant, good) == "indexed"
    assert await state_of(store, tenant, bad) == "dead"
