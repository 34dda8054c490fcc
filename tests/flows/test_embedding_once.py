"""A text that a tenant's knowledge holds is not embedded, nor paid for, again."""

from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text

from blocks import embedder
from blocks.database import Database
from blocks.embedder import Embedder
from flows.ingest import ingest_stored
from tasks.receive import receive_ingestion
from tasks.step import traced

TEXTS = ("Otters hold hands while they sleep.", "Badgers dig by night.", "Moles are blind.")
VECTORS = text("select c.text, v.embedding::text from chunk c join chunk_vector v on v.chunk_id = c.id order by c.id")


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return all that was embedded since."""
    texts: list[str] = []
    embed = Embedder.embed

    async def noted(self: Embedder, asked: list[str], **options: str) -> embedder.Vectors:
        texts.extend(asked)
        return await embed(self, asked, **options)

    monkeypatch.setattr(Embedder, "embed", noted)
    return texts


async def learn(tenant: UUID, folder: Path, **contents: str) -> None:
    """Ingest documents of the same title, which is embedded with each of their chunks."""
    folder.mkdir(exist_ok=True)
    for name, content in contents.items():
        (folder / f"{name}.md").write_text(f"# Animals\n\n{content}")
    ingestion_id = await receive_ingestion([{"uri": str(folder), "chunk_size": 100, "chunk_overlap": 0}], tenant)
    with traced():
        await ingest_stored.fn(ingestion_id, tenant)


async def test_the_same_document_by_another_name_is_not_embedded_again(
    store: Database, tenant: UUID, tmp_path: Path, embedded: list[str]
) -> None:
    await learn(tenant, tmp_path / "a", one=TEXTS[0], two=TEXTS[0])
    assert len(embedded) == 1
    await learn(tenant, tmp_path / "b", three=TEXTS[0])
    assert len(embedded) == 1
    async with store.transaction(tenant) as connection:
        rows = (await connection.execute(VECTORS)).all()
    assert len(rows) == 3
    assert len(set(rows)) == 1


async def test_of_a_changed_document_only_what_changed_is_embedded(
    store: Database, tenant: UUID, tmp_path: Path, embedded: list[str]
) -> None:
    animals = ("Otters", "Badgers", "Moles")
    long = [f"{name} are animals of which this paragraph says that they live in the ground." for name in animals]
    await learn(tenant, tmp_path / "a", one="\n\n".join(long))
    assert len(embedded) == 3
    await learn(
        tenant, tmp_path / "a", one="\n\n".join([long[0], "Foxes are sly and live in holes in the ground.", long[2]])
    )
    assert [sentence for sentence in embedded[3:] if "Foxes" not in sentence] == []
    assert len(embedded) == 4


async def test_what_another_tenant_knows_is_embedded_all_the_same(
    store: Database, tenant: UUID, other_tenant: UUID, tmp_path: Path, embedded: list[str]
) -> None:
    await learn(tenant, tmp_path / "a", one=TEXTS[0])
    await learn(other_tenant, tmp_path / "a", one=TEXTS[0])
    assert len(embedded) == 2


async def test_what_was_deleted_is_embedded_again(
    store: Database, tenant: UUID, tmp_path: Path, embedded: list[str]
) -> None:
    await learn(tenant, tmp_path / "a", one=TEXTS[0])
    async with store.transaction(tenant) as connection:
        await connection.execute(text("delete from document"))
    await learn(tenant, tmp_path / "b", two=TEXTS[0])
    assert len(embedded) == 2


async def test_an_embedder_that_was_changed_in_place_mixes_no_vectors(
    store: Database, tenant: UUID, tmp_path: Path, embedded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await learn(tenant, tmp_path / "a", one=TEXTS[0])
    monkeypatch.setattr(Embedder, "space", property(lambda _: embedder.Space("another", 384)))
    await learn(tenant, tmp_path / "b", two=TEXTS[0], three=TEXTS[1])
    async with store.transaction(tenant) as connection:
        assert len((await connection.execute(VECTORS)).all()) == 1
        assert (
            list(await connection.scalars(text("select cause from ingestion_item where cause is not null")))
            == ["space_mismatch"] * 2
        )
