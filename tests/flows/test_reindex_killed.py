"""A vector space whose run was killed, or whose evaluation failed, is given up; one that is being built is not."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from http.server import ThreadingHTTPServer
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from blocks import connections
from blocks.database import Database
from blocks.embedder import Embedder
from flows import promote
from flows.reconcile import reconcile
from flows.reindex import reindex
from kowai.errors import EmbedderFailed, SpaceUnready
from tasks.give_up import abandon_spaces
from tasks.reindex import begin_space
from tasks.step import traced
from tests.flows.conftest import rows
from tests.flows.test_reindex import Endpoint, learn, put_to_the_gate
from tests.flows.test_reindex import use as use
from tests.forked import forked


def carry_out(endpoint: str) -> None:
    """Build the space of the embedder called next, whose endpoint serves the one at work as well."""
    for key, model, dimensions in ((Embedder, "old", 32), ((Embedder, "next"), "slow", 48)):
        block = Embedder(provider="openai", endpoint=endpoint, model=model, dimensions=dimensions, price=Decimal(0))
        connections._known[key] = connections.Known(block, time.monotonic() + 1e6)
    with traced():
        asyncio.run(reindex.fn("next"))


class Waiting(Endpoint):
    """Answer as ever until it is slow, which it stays until all is over."""

    server: Any

    def do_POST(self) -> None:
        if self.server.is_slow:
            self.server.asked.append("slow")
            self.server.over.wait()
            return
        super().do_POST()


@pytest.fixture
def server() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Waiting)
    server.asked, server.is_slow, server.over = [], False, threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.over.set()
    server.shutdown()
    server.server_close()


def states(url: str) -> dict[str, str]:
    return {row["embedder"]: row["state"] for row in rows(url, "select embedder, state from embedding_space")}


async def building(server: Any) -> BaseProcess:
    """Start to build a space in a process of its own, and return that once it is embedding."""
    server.asked.clear()
    server.is_slow = True
    process = forked(carry_out, f"http://127.0.0.1:{server.server_port}/v1")
    until = time.monotonic() + 120
    while not server.asked:
        assert time.monotonic() < until
        assert process.is_alive()
        await asyncio.sleep(0.01)
    return process


@pytest.mark.slow
@pytest.mark.usefixtures("store")
async def test_a_space_is_given_up_when_its_run_was_killed_and_not_before(
    tenant: UUID, tmp_path: Path, use: Callable[..., None], server: Any, database_url: str
) -> None:
    use("next", "slow", 48)
    use("third", "new", 16)
    await learn(tenant, tmp_path, tea="Green tea.")
    process = await building(server)
    try:
        assert await abandon_spaces() == 0
        for name in ("next", "third"):
            with pytest.raises(SpaceUnready):
                await begin_space(name)
        assert states(database_url)["next"] == "building"
    finally:
        process.kill()
        process.join()
    server.is_slow = False
    with traced():
        await reconcile.fn()
    assert states(database_url) == {"kowai": "current", "next": "retired"}


@pytest.mark.slow
@pytest.mark.usefixtures("store")
async def test_another_is_begun_at_once_where_the_run_of_one_was_killed(
    tenant: UUID, tmp_path: Path, use: Callable[..., None], server: Any, database_url: str
) -> None:
    use("third", "new", 16)
    await learn(tenant, tmp_path, tea="Green tea.")
    process = await building(server)
    process.kill()
    process.join()
    server.is_slow = False
    await asyncio.to_thread(wait_for_session_to_end, database_url)
    assert (await begin_space("third")).state == "building"
    assert states(database_url)["next"] == "retired"


def wait_for_session_to_end(url: str) -> None:
    """Wait until PostgreSQL has noticed that the process is gone."""
    with psycopg.connect(url, autocommit=True) as connection:
        held = "select count(*) from embedding_space where at_work(built_by)"
        while connection.execute(held).fetchone() != (0,):
            time.sleep(0.01)


async def test_what_waits_for_a_worker_is_given_up_after_a_day(
    store: Database, tenant: UUID, tmp_path: Path, use: Callable[..., None], database_url: str
) -> None:
    use("next", "new", 48)
    await learn(tenant, tmp_path, tea="Green tea.")
    await begin_space("next")
    assert await abandon_spaces() == 0
    with psycopg.connect(database_url) as owner:
        owner.execute("update embedding_space set begun_at = now() - interval '2 days' where embedder = 'next'")
    assert await abandon_spaces() == 1
    assert (await begin_space("next")).state == "building"


@pytest.mark.usefixtures("store")
async def test_a_space_whose_evaluation_fails_is_given_up(
    tenant: UUID, tmp_path: Path, use: Callable[..., None], monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    async def failed(*_: object) -> None:
        raise EmbedderFailed("The endpoint is away.")

    use("next", "new", 48)
    await learn(tenant, tmp_path, dog="dog dog dog.")
    monkeypatch.setattr(promote, "carry_out", failed)
    with pytest.raises(EmbedderFailed):
        await put_to_the_gate("next", tenant, {"hound": "dog"})
    assert states(database_url) == {"kowai": "current", "next": "retired"}
