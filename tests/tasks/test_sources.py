"""Sources are kept with their handling and schedule, walked when due, and what vanishes from one is dealt with."""

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from blocks.database import Database
from blocks.sources import git as repositories
from flows.ingest import ingest_stored
from flows.ingest_due import ingest_due
from kowai.errors import InvalidInput
from kowai.schedules import next_due
from tasks.clear import sweep_repositories
from tasks.documents import list_dead_letters, list_documents
from tasks.forget import forget
from tasks.receive import receive_ingestion
from tasks.sources import KeptSource, Wishes, change_source, drop_source, keep_source, read_source, remember, take_due
from tasks.step import traced
from tasks.tenants import for_each

AUTHOR = {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@b"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "documents"
    place.mkdir()
    (place / "a.md").write_text("Otters hold hands.")
    (place / "b.md").write_text("Badgers dig setts.")
    return place


async def walked(uri: str | Path, tenant: UUID) -> None:
    ingestion_id = await receive_ingestion([{"uri": str(uri)}], tenant)
    with traced():
        await ingest_stored.fn(ingestion_id, tenant)


async def held(tenant: UUID) -> dict[str, Any]:
    """Return the documents that are held, by file name."""
    return {document.external_id.rpartition("/")[2]: document for document in await list_documents(tenant)}


async def kept(uri: str | Path, tenant: UUID, **wishes: Any) -> KeptSource:
    return await keep_source(str(uri), tenant, None, Wishes.model_validate(wishes))


async def run(store: Database, tenant: UUID, statement: str) -> Any:
    async with store.transaction(tenant) as connection:
        return (
            (await connection.execute(text(statement))).all()
            if statement.startswith("select")
            else (await connection.execute(text(statement)))
        )


@pytest.mark.parametrize(
    ("policy", "left", "marked"),
    [("keep", {"a.md", "b.md"}, False), ("mark", {"a.md", "b.md"}, True), ("remove", {"a.md"}, False)],
)
async def test_what_vanished_from_its_source_is_kept_marked_or_removed(
    store: Database, tenant: UUID, folder: Path, policy: Any, left: set[str], marked: bool
) -> None:
    await kept(folder, tenant, vanished=policy)
    await walked(folder, tenant)
    (folder / "b.md").unlink()
    await walked(folder, tenant)
    documents = await held(tenant)
    assert set(documents) == left
    assert any(document.vanished_at for document in documents.values()) is marked
    (folder / "b.md").write_text("Badgers dig setts again.")
    await walked(folder, tenant)
    documents = await held(tenant)
    assert set(documents) == {"a.md", "b.md"}
    assert not any(document.vanished_at for document in documents.values())


async def test_a_source_that_is_out_of_reach_or_empty_loses_nothing(
    store: Database, tenant: UUID, folder: Path
) -> None:
    await kept(folder, tenant, vanished="remove")
    await walked(folder, tenant)
    folder.rename(folder.with_name("elsewhere"))
    await walked(folder, tenant)
    folder.mkdir()
    await walked(folder, tenant)
    assert set(await held(tenant)) == {"a.md", "b.md"}


async def test_what_another_source_still_holds_is_not_removed(store: Database, tenant: UUID, folder: Path) -> None:
    await kept(folder, tenant, vanished="remove")
    await kept(folder / "*.md", tenant)
    await walked(folder / "*.md", tenant)
    await walked(folder, tenant)
    (folder / "b.md").unlink()
    await walked(folder, tenant)
    assert set(await held(tenant)) == {"a.md", "b.md"}


async def test_what_somebody_deleted_stays_deleted_though_its_source_holds_it(
    store: Database, tenant: UUID, folder: Path
) -> None:
    await kept(folder, tenant, vanished="remove")
    await walked(folder, tenant)
    await forget(str(folder / "b.md"), tenant)
    await walked(folder, tenant)
    assert set(await held(tenant)) == {"a.md"}


async def test_every_tenants_due_sources_are_walked_with_their_own_handling_and_are_due_again(
    store: Database, tenant: UUID, other_tenant: UUID, folder: Path
) -> None:
    schedule = {"cron": "0 6 * * 1", "timezone": "Asia/Tokyo"}
    mine = await kept(folder, tenant, handling={"content_type": "business"}, **schedule)
    await remember([str(folder)], other_tenant, {"language": "de"})
    with traced():
        await ingest_due.fn()
    assert await held(tenant) == {}
    for one in (tenant, other_tenant):
        await run(store, one, "update source set due_at = now() - interval '1 minute'")
    with traced():
        await ingest_due.fn()
    kinds = "select distinct content_type, language from document"
    assert (await run(store, tenant, kinds))[0].content_type == "business"
    assert (await run(store, other_tenant, kinds))[0].language == "de"
    again = await read_source(mine.id, tenant)
    assert again.walked_at
    assert again.due_at == next_due("0 6 * * 1", "Asia/Tokyo", datetime.now(UTC))
    assert await take_due(tenant) is None


async def test_a_paused_source_is_never_due(store: Database, tenant: UUID, folder: Path) -> None:
    source = await kept(folder, tenant, active=False)
    await run(store, tenant, "update source set due_at = now() - interval '1 day'")
    assert await take_due(tenant) is None
    await change_source(source.id, tenant, {"active": True})
    assert (await read_source(source.id, tenant)).active


@pytest.mark.parametrize(
    "wishes",
    [{"cron": "every day"}, {"cron": "0 0 31 2 *"}, {"timezone": "Mars/Olympus"}, {"options": {"depth": 3}}],
    ids=["no cron", "a day that never comes", "no time zone", "no such option"],
)
async def test_a_source_that_cannot_be_walked_as_wished_is_refused(
    store: Database, tenant: UUID, folder: Path, wishes: Any
) -> None:
    with pytest.raises(InvalidInput):
        await kept(folder, tenant, **wishes)


def git(folder: Path, *arguments: str) -> None:
    environment = AUTHOR | {"PATH": os.environ["PATH"], "HOME": str(folder)}
    subprocess.run(["git", "-C", str(folder), *arguments], env=environment, check=True, capture_output=True)


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Change")


async def test_a_repository_is_read_by_commit_and_then_only_what_changed(
    store: Database, tenant: UUID, folder: Path
) -> None:
    git(folder, "init", "--quiet")
    (folder / "link.md").symlink_to("/etc/hostname")
    (folder / "notes.jsonl").write_text('{"_id": "n1", "text": "A note."}\n')
    commit(folder)
    (folder / "b.md").write_text("Not committed.")
    await keep_source(str(folder), tenant, "git", Wishes.model_validate({"vanished": "remove"}))
    await walked(folder, tenant)
    assert set(await held(tenant)) == {"documents@a.md", "documents@b.md", "n1"}
    git(folder, "rm", "--quiet", "a.md", "--force")
    (folder / "c.md").write_text("Cats purr.")
    commit(folder)
    await walked(folder, tenant)
    documents = await held(tenant)
    assert {name: document.version for name, document in documents.items()} == {
        "documents@b.md": 2,
        "documents@c.md": 1,
        "n1": 1,
    }
    before = (await run(store, tenant, "select count(*) from ingestion_item"))[0][0]
    await walked(folder, tenant)
    assert (await run(store, tenant, "select count(*) from ingestion_item"))[0][0] == before


async def test_a_repository_runs_nothing_that_its_own_settings_name(
    store: Database, tenant: UUID, folder: Path, tmp_path: Path
) -> None:
    git(folder, "init", "--quiet")
    commit(folder)
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\ncat\n")
    trap.chmod(0o755)
    for name in ("core.fsmonitor", "diff.external", "core.pager", "filter.x.smudge", "diff.x.textconv"):
        git(folder, "config", name, str(trap))
    (folder / ".git" / "info" / "attributes").write_text("* filter=x diff=x\n")
    await keep_source(str(folder), tenant, "git", Wishes.model_validate({}))
    await walked(folder, tenant)
    assert set(await held(tenant)) == {"documents@a.md", "documents@b.md"}
    assert not (tmp_path / "sprung").exists()


async def test_a_source_that_fails_in_a_way_nobody_foresaw_takes_no_other_along(
    store: Database, tenant: UUID, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def loaded(_: str) -> object:
        return object()  # a block that is no filesystem

    monkeypatch.setattr("blocks.sources.block._load", loaded)
    sources = [{"uri": "block:kowai-bucket/default-kowai"}, {"uri": "block:nonsense"}, {"uri": str(folder)}]
    ingestion_id = await receive_ingestion(sources, tenant)
    with traced():
        await ingest_stored.fn(ingestion_id, tenant)
    assert set(await held(tenant)) == {"a.md", "b.md"}
    assert {letter.cause for letter in await list_dead_letters(tenant)} == {"unreadable", "source_missing"}


async def test_a_tenant_whose_work_breaks_stops_no_other(tenant: UUID, other_tenant: UUID) -> None:
    done: list[UUID] = []

    async def work(each: UUID) -> None:
        done.append(each)
        if each == tenant:
            raise AttributeError("no such method")

    with pytest.raises(AttributeError):
        await for_each([tenant, other_tenant], work)
    assert done == [tenant, other_tenant]


async def test_what_was_fetched_of_a_repository_goes_once_it_is_no_source(store: Database, tenant: UUID) -> None:
    folders: dict[str, Path] = {}
    for name in ("kept", "dropped"):
        uri = f"https://example.org/{name}.git"
        source = await keep_source(uri, tenant, None, Wishes.model_validate({}))
        folders[name] = repositories._folder(uri, tenant)  # pyright: ignore[reportPrivateUsage]
        folders[name].mkdir(parents=True)
    assert await sweep_repositories(tenant) == 0
    await drop_source(source.id, tenant)
    assert await sweep_repositories(tenant) == 1
    assert (folders["kept"].exists(), folders["dropped"].exists()) == (True, False)
