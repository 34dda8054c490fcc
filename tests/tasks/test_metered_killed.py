"""A process that is killed has not paid in vain: the provider's own counter says so."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import dspy
import psycopg
import pytest

from tasks import metered
from tests.model_server import Act, ModelServer

ROOT = Path(__file__).parents[2]
PROGRAM = """
import asyncio, os, sys
from uuid import UUID
from decimal import Decimal
from blocks.language_model import LanguageModel, Target
from tasks import accounts, metered
from tests.tasks.test_metered_killed import Capital

async def main(url, tenant, when):
    target = Target(name="local", model="local-model", endpoint=url, max_output_tokens=50, input_price=1000,
                    output_price=1000)
    async def block():
        return LanguageModel(targets=[target], request_limit=Decimal(5))
    metered.language_model = block
    wait = asyncio.Event().wait
    async def stop(*_):
        print(when, flush=True)
        await wait()
    if when == "between reply and commit":
        connect = accounts.database
        async def database():
            if sys._getframe(1).f_code.co_name == "settle":
                await stop()
            return await connect()
        accounts.database = database
    if when == "after the commit":
        settle = accounts.settle
        async def settled(settlement):
            await settle(settlement)
            await stop()
        accounts.settle = settled
    if when == "before the reply":
        print(when, flush=True)
    await metered.ask(Capital, {"country": "France"}, UUID(tenant))

asyncio.run(main(*sys.argv[1:]))
"""


class Capital(dspy.Signature):
    """Name the capital."""

    country: str = dspy.InputField()
    answer: str = dspy.OutputField()


async def kill_while_asking(server: ModelServer, tenant: UUID, when: str) -> None:
    """Ask in a process of its own and kill -9 it at that moment."""
    command = [sys.executable, "-c", PROGRAM, f"{server.url}/v1", str(tenant), when]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": "."})
    assert process.stdout
    line = await asyncio.to_thread(process.stdout.readline)
    assert line.decode().strip() == when
    while not server.asked:
        await asyncio.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("when", ["between reply and commit", "after the commit"])
async def test_a_reply_that_came_is_never_paid_again(
    when: str,
    books: str,
    tenant: UUID,
    use: Callable[..., Any],
    model_server: ModelServer,
    day: Callable[[], Any],
) -> None:
    await kill_while_asking(model_server, tenant, when)
    use(model_server.target(price="1000", max_output_tokens=50), request_limit="5")
    reply = await metered.ask(Capital, {"country": "France"}, tenant)
    assert (reply.fields["answer"], reply.cost) == ("Paris, of course", Decimal("0.11"))
    assert len(model_server.asked) == 1
    assert (day()["reserved"], day()["spent"], day()["settlements"]) == (0, Decimal("0.11"), 1)


async def test_a_call_whose_reply_never_came_is_asked_again_after_the_lease(
    books: str, tenant: UUID, use: Callable[..., Any], model_server: ModelServer, day: Callable[[], Any]
) -> None:
    model_server.script = [Act(delay=60)]
    await kill_while_asking(model_server, tenant, "before the reply")
    use(model_server.target(price="1000", max_output_tokens=50), request_limit="5")
    asking = asyncio.create_task(metered.ask(Capital, {"country": "France"}, tenant))
    await asyncio.sleep(0.3)
    assert not asking.done()
    with psycopg.connect(books) as connection:
        connection.execute("update model_call set leased_until = now() - interval '1 s' where state = 'reserved'")
    assert (await asking).cost == Decimal("0.11")
    assert (day()["reserved"], day()["spent"], day()["releases"]) == (0, Decimal("0.11"), 1)
