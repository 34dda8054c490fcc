"""A batch that is killed goes on where it was, and the provider's own counter shows each item once."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from blocks.database import Database
from tests.flows.conftest import learn_tea, rows
from tests.flows.test_run_personas import GOOD, batch_of, carry_out, counted
from tests.model_server import Act, ModelServer

ROOT = Path(__file__).parents[2]
PROGRAM = """
import asyncio, sys, time
from uuid import UUID
from blocks import connections
from blocks.language_model import LanguageModel, Target
from flows.run_personas import run_batch
from tasks.step import traced

async def main(url, batch, tenant):
    target = Target(name="local", model="local-model", endpoint=url, input_price=10, output_price=10)
    known = connections.Known(LanguageModel(targets=[target]), time.monotonic() + 1e6)
    connections._known[LanguageModel] = known
    with traced():
        await run_batch.fn(UUID(batch), UUID(tenant))

asyncio.run(main(*sys.argv[1:]))
"""


def start(server: ModelServer, batch_id: UUID, tenant: UUID) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", PROGRAM, f"{server.url}/v1", str(batch_id), str(tenant)]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": "."})


async def kill_after(asked: int, server: ModelServer, batch_id: UUID, tenant: UUID) -> None:
    """Carry the batch out in a process of its own and kill -9 it once the provider was asked that often."""
    process = start(server, batch_id, tenant)
    until = time.monotonic() + 120
    while len(server.asked) < asked:
        assert time.monotonic() < until
        assert process.poll() is None
        await asyncio.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()


def let_leases_run_out(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("update batch_turn set leased_until = now() - interval '1 s'")
        connection.execute("update model_call set leased_until = now() - interval '1 s' where state = 'reserved'")


@pytest.mark.slow
async def test_a_batch_killed_twice_finishes_the_rest_and_pays_nothing_twice(
    store: Database,
    tenant: UUID,
    tmp_path: Path,
    database_url: str,
    use: Callable[..., None],
    model_server: ModelServer,
) -> None:
    await learn_tea(tenant, tmp_path / "documents")
    model_server.default = Act(content=GOOD, delay=0.05)
    use(model_server.target(price="10"))
    questions = [f"How long is green tea number {n} steeped?" for n in range(30)]
    batch_id = await batch_of(questions, ["assistant", "analyst"], tenant)
    in_flight = 0
    for asked in (12, 35):
        await kill_after(asked, model_server, batch_id, tenant)
        calls = rows(database_url, "select count(*) as calls from model_call where state = 'reserved'")
        in_flight += calls[0]["calls"]
        let_leases_run_out(database_url)
        interrupted = await counted(store, batch_id, tenant)
        assert 0 < interrupted.in_progress < 60
    await carry_out(batch_id, tenant)
    assert await counted(store, batch_id, tenant) == (60, 60, 0, 0, 0)
    (books,) = rows(database_url, "select reserved, reservations, settlements, releases from spend")
    (settled,) = rows(database_url, "select count(*) as calls from model_call where state = 'settled'")
    assert settled["calls"] == 60
    assert (books["reserved"], books["settlements"]) == (0, 60)
    assert books["reservations"] == books["settlements"] + books["releases"]
    assert len(model_server.asked) - 60 <= in_flight  # asked again only where the kill came before the reply
