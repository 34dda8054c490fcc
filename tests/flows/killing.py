"""Carry a flow out in a process of its own and kill it in the middle."""

import asyncio
import importlib
import time
from decimal import Decimal
from uuid import UUID

import psycopg
from psycopg import sql

from blocks import connections
from blocks.language_model import LanguageModel, Target
from tasks.step import traced
from tests.flows.conftest import rows
from tests.forked import forked
from tests.model_server import ModelServer


def carry_out(url: str, flow: str, subject: UUID, tenant: UUID) -> None:
    """Carry the flow out on the model of that address."""
    target = Target(name="local", model="local-model", endpoint=url, input_price=Decimal(10), output_price=Decimal(10))
    block = LanguageModel(targets=[target], request_limit=Decimal(5))
    connections._known[LanguageModel] = connections.Known(block, time.monotonic() + 1e6)
    module, _, name = flow.rpartition(".")
    with traced():
        asyncio.run(getattr(importlib.import_module(module), name).fn(subject, tenant))


async def kill_after(asked: int, server: ModelServer, flow: str, subject: UUID, tenant: UUID) -> None:
    """Carry the flow out and kill -9 it once the provider was asked that often."""
    process = forked(carry_out, f"{server.url}/v1", flow, subject, tenant)
    until = time.monotonic() + 120
    while len(server.asked) < asked:
        assert time.monotonic() < until
        assert process.is_alive()
        await asyncio.sleep(0.01)
    process.kill()
    process.join()


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
