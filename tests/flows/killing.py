"""Carry a flow out in a process of its own and kill it in the middle."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID

import psycopg
from psycopg import sql

from tests.flows.conftest import rows
from tests.model_server import ModelServer

ROOT = Path(__file__).parents[2]
PROGRAM = """
import asyncio, importlib, sys, time
from uuid import UUID
from blocks import connections
from blocks.language_model import LanguageModel, Target
from tasks.step import traced

async def main(url, flow, subject, tenant):
    target = Target(name="local", model="local-model", endpoint=url, input_price=10, output_price=10)
    known = connections.Known(LanguageModel(targets=[target], request_limit=5), time.monotonic() + 1e6)
    connections._known[LanguageModel] = known
    module, _, name = flow.rpartition(".")
    with traced():
        await getattr(importlib.import_module(module), name).fn(UUID(subject), UUID(tenant))

asyncio.run(main(*sys.argv[1:]))
"""


async def kill_after(asked: int, server: ModelServer, flow: str, subject: UUID, tenant: UUID) -> None:
    """Carry the flow out and kill -9 it once the provider was asked that often."""
    command = [sys.executable, "-c", PROGRAM, f"{server.url}/v1", flow, str(subject), str(tenant)]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": "."})
    until = time.monotonic() + 120
    while len(server.asked) < asked:
        assert time.monotonic() < until
        assert process.poll() is None
        await asyncio.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()


def let_leases_run_out(url: str, table: str) -> int:
    """End the leases of the work in `table` and of its calls; return how many calls nobody has settled."""
    (calls,) = rows(url, "select count(*) as calls from model_call where state = 'reserved'")
    with psycopg.connect(url) as connection:
        lapse = sql.SQL("update {} set leased_until = now() - interval '1 s'").format(sql.Identifier(table))
        connection.execute(lapse)
        connection.execute("update model_call set leased_until = now() - interval '1 s' where state = 'reserved'")
    return calls["calls"]


def assert_paid_once(url: str, calls: int, server: ModelServer, in_flight: int) -> None:
    """Each call was settled once and asked again only where a kill came before its reply."""
    (books,) = rows(url, "select reserved, reservations, settlements, releases from spend")
    (settled,) = rows(url, "select count(*) as calls from model_call where state = 'settled'")
    assert settled["calls"] == calls
    assert (books["reserved"], books["reservations"]) == (0, books["settlements"] + books["releases"])
    assert len(server.asked) - calls <= in_flight
