"""Documents that say almost the same are listed together and shown once, and each can go without the others."""

from pathlib import Path
from uuid import UUID

from sqlalchemy import text

from blocks.database import Database
from flows.ingest import ingest_stored
from kowai.duplicates import BANDS
from tasks.documents import read_accounts
from tasks.duplicates import compare_documents, list_duplicates
from tasks.forget import forget
from tasks.receive import receive_ingestion
from tasks.retrieve import find_passages
from tasks.step import traced

TEXT = " ".join(f"The harbour of town {n} has {n} berths and a lighthouse that is kept by a guild." for n in range(8))
NAMES = ("a.md", "b.md", "c.md")


async def learned(tenant: UUID, folder: Path, **texts: str) -> None:
    folder.mkdir(exist_ok=True)
    for name, content in texts.items():
        (folder / f"{name}.md").write_text(content)
    with traced():
        await ingest_stored.fn(await receive_ingestion([{"uri": str(folder)}], tenant), tenant)


async def groups(tenant: UUID) -> list[tuple[str, str, bool]]:
    return [(Path(one.leader).name, Path(one.external_id).name, one.same) for one in await list_duplicates(tenant)]


async def found(tenant: UUID, question: str) -> list[str]:
    return [Path(one.external_id).name for one in await find_passages(question, tenant, k=5, filters={})]


async def test_copies_are_listed_with_what_they_copy_and_shown_once(
    store: Database, tenant: UUID, other_tenant: UUID, tmp_path: Path
) -> None:
    folder = tmp_path / "documents"
    await learned(tenant, folder, a=TEXT)
    await learned(tenant, folder, b=TEXT.upper(), c=f"{TEXT} That is all.", d="Tea is steeped for three minutes.")
    await learned(other_tenant, folder)
    assert await groups(tenant) == [("a.md", "b.md", True), ("a.md", "c.md", False)]
    shown = await found(tenant, "Who keeps the lighthouse?")
    assert len({*shown} & {*NAMES}) == 1
    assert "d.md" in shown
    total, _ = await read_accounts(tenant)
    assert total.accepted == total.indexed + total.unchanged == 5


async def test_deleting_one_keeps_the_others_and_they_find_each_other_again(
    store: Database, tenant: UUID, tmp_path: Path
) -> None:
    folder = tmp_path / "documents"
    await learned(tenant, folder, a=TEXT)
    await learned(tenant, folder, b=TEXT, c=TEXT)
    await forget(str(folder / "a.md"), tenant)
    assert len(await found(tenant, "Who keeps the lighthouse?")) == 1
    assert await compare_documents(tenant) == 2
    assert len(await groups(tenant)) == 1
    assert await compare_documents(tenant) == 0


async def test_the_bands_of_what_is_gone_or_has_changed_go_with_it(
    store: Database, tenant: UUID, tmp_path: Path
) -> None:
    folder = tmp_path / "documents"
    await learned(tenant, folder, a=TEXT, b="Tea is steeped for three minutes, and the pot is warmed before.")
    await learned(tenant, folder, b="Coffee is ground by hand, and the water must not boil.")
    await forget(str(folder / "a.md"), tenant)
    async with store.transaction(tenant) as connection:
        assert await connection.scalar(text("select count(*) from document_sketch")) == 1
        assert await connection.scalar(text("select count(*) from sketch_band")) == BANDS


async def test_what_changes_is_compared_anew_and_so_is_what_it_stood_for(
    store: Database, tenant: UUID, tmp_path: Path
) -> None:
    folder = tmp_path / "documents"
    await learned(tenant, folder, a=TEXT)
    await learned(tenant, folder, b=TEXT)
    assert await groups(tenant) == [("a.md", "b.md", True)]
    await learned(tenant, folder, a="Now it tells of tea and of nothing else at all.")
    await compare_documents(tenant)
    assert await groups(tenant) == []


async def test_passages_that_differ_in_a_number_or_a_word_that_is_asked_for_are_both_shown(
    store: Database, tenant: UUID, tmp_path: Path
) -> None:
    report = f"{' '.join(['The board met and approved the figures of the year.'] * 5)} The dividend was forty cents in"
    await learned(tenant, tmp_path / "documents", a=f"{report} 2019.", b=f"{report} 2020.", c=f"{report} 2020.")
    assert len(await found(tenant, "How high was the dividend?")) == 2
