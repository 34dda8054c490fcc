"""Every machine clears its own state: of tenants that were erased elsewhere, dropped sources and left replies."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from blocks.database import Database
from blocks.sources import git
from deployments.clearing import keep_clearing
from kowai.settings import settings
from kowai.types import Usage
from tasks import spool
from tasks.accounts import Purpose, open_call
from tasks.clear import clear_machine
from tasks.hosting import erase_tenant, suspend_tenant
from tasks.sources import Wishes, keep_source
from tasks.spool import Settlement

REPOSITORY = "https://example.org/handbook.git"


def fetched(tenant: UUID) -> Path:
    folder = git.fetched(tenant) / git.fetched_as(REPOSITORY)
    folder.mkdir(parents=True)
    return folder


def reply(tenant: UUID, call_id: UUID) -> Path:
    who = {"call_id": call_id, "tenant_id": tenant, "target": "t", "model": "m", "fallback": False}
    paid = {"usage": Usage(), "cost": Decimal(0), "charged": Decimal(0)}
    spool.keep(Settlement(**who, **paid, reply={"answer": "What they know."}))
    return spool.folder(tenant) / f"{call_id}.json"


@contextmanager
def elsewhere(monkeypatch: pytest.MonkeyPatch, state: Path) -> Iterator[None]:
    """Do what is in the block as another machine, whose state is another folder."""
    with monkeypatch.context() as other:
        other.setenv("KOWAI_STATE", str(state))
        settings.cache_clear()
        yield
    settings.cache_clear()


async def test_what_is_kept_here_of_a_tenant_that_was_erased_elsewhere_goes(
    store: Database, tenant: UUID, other_tenant: UUID, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await keep_source(REPOSITORY, tenant, None, Wishes.model_validate({}))
    mine, theirs, said = fetched(tenant), fetched(other_tenant), reply(other_tenant, uuid4())
    await suspend_tenant(other_tenant, suspended=True)
    await clear_machine()
    assert all(path.exists() for path in (mine, theirs, said))
    with elsewhere(monkeypatch, tmp_path / "another machine"):
        await erase_tenant(other_tenant, requested_by=tenant, platform_id=tenant)
    assert theirs.exists()
    await clear_machine()
    assert mine.exists()
    assert not theirs.parent.exists()
    assert not said.parent.exists()


async def test_a_repository_that_is_no_source_and_a_reply_of_a_dead_process_go(store: Database, tenant: UUID) -> None:
    folder = fetched(tenant)
    said = reply(tenant, (await open_call("q", Purpose(tenant, None, None, "careful"))).call_id)
    await clear_machine()
    assert not folder.exists()
    assert not said.exists()


async def test_what_is_no_tenants_folder_stays(store: Database, tenant: UUID) -> None:
    folder = git.fetched(tenant).parent / "notes"
    folder.mkdir(parents=True)
    await clear_machine()
    assert folder.exists()


async def test_a_process_that_serves_clears_at_its_start(store: Database, tenant: UUID) -> None:
    folder = fetched(uuid4())
    clearing = asyncio.create_task(keep_clearing(alone=True))
    while folder.parent.exists():
        await asyncio.sleep(0.01)
    clearing.cancel()
