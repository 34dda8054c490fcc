"""Models as aimock plays them, over real HTTP: they fail in every way models do, and are paid for what they say."""

import asyncio
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import dspy
import httpx
import pytest

from blocks.engines import circuit_of
from blocks.language_model import Target
from kowai.errors import ModelFailed
from kowai.types import Reply
from tasks import metered
from tests import node_packages

pytestmark = [pytest.mark.node, pytest.mark.slow]

Use = Callable[..., Any]


class Story(dspy.Signature):
    """Tell a story."""

    topic: str = dspy.InputField()
    answer: str = dspy.OutputField()


class Aimock(NamedTuple):
    url: str

    def target(self, name: str, **settings: Any) -> Target:
        prices = {"input_price": Decimal(1000), "output_price": Decimal(1000)}
        shared = prices | {"max_output_tokens": 50}
        return Target(name=name, model=f"{name}-model", endpoint=f"{self.url}/v1", **(shared | settings))

    def asked(self, target: Target) -> int:
        """Return how often the target was asked, by aimock's own journal."""
        journal = httpx.get(f"{self.url}/__aimock/journal", trust_env=False).json()
        return sum(entry["body"]["model"] == target.model for entry in journal)


@pytest.fixture
def aimock() -> Iterator[Aimock]:
    folder = node_packages.installed()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = folder / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"
    command = ["node", program, "--port", str(port), "--fixtures", folder / "models.json", "--log-level", "silent"]
    process = subprocess.Popen(command)
    mock = Aimock(f"http://127.0.0.1:{port}")
    until = time.monotonic() + 60
    while True:
        try:
            httpx.get(f"{mock.url}/__aimock/journal", trust_env=False)
            break
        except httpx.TransportError:
            assert process.poll() is None, "aimock has ended"
            assert time.monotonic() < until, "aimock does not listen"
            time.sleep(0.1)
    yield mock
    process.terminate()
    process.wait(60)


async def ask(tenant: UUID, topic: str) -> Reply:
    return await metered.ask(Story, {"topic": topic}, tenant)


async def test_usage_is_what_the_server_counts(
    books: str, tenant: UUID, use: Use, aimock: Aimock, day: Callable[[], Any]
) -> None:
    use(aimock.target("local"), request_limit="5")
    heard = list[str]()
    whole = await ask(tenant, "usage")
    streamed = await metered.ask(Story, {"topic": "streamed usage"}, tenant, hear=heard.append)
    assert (
        whole.usage == streamed.usage == whole.usage.model_copy(update={"prompt_tokens": 111, "completion_tokens": 7})
    )
    assert (whole.cost, day()["spent"]) == (Decimal("0.118"), Decimal("0.236"))
    assert len(heard) > 1


async def test_a_limit_is_respected_for_as_long_as_the_server_asks(
    books: str, tenant: UUID, use: Use, aimock: Aimock
) -> None:
    local, cloud = aimock.target("local"), aimock.target("cloud")
    use(local, cloud, request_limit="5")
    replies = [await ask(tenant, f"limits {number}") for number in range(3)]
    assert {(reply.model, reply.fallback) for reply in replies} == {("cloud", True)}
    assert (aimock.asked(local), aimock.asked(cloud)) == (1, 3)
    assert circuit_of(local).rests(time.monotonic()) > 30


async def test_a_circuit_opens_and_one_probe_closes_it(books: str, tenant: UUID, use: Use, aimock: Aimock) -> None:
    local, cloud = aimock.target("local"), aimock.target("cloud")
    use(local, cloud, request_limit="5")
    for number in range(3):
        assert (await ask(tenant, f"recovery {number}")).model == "cloud"
    assert aimock.asked(local) == 2
    circuit_of(local)._opens_until = 0.0  # the rest is over
    replies = await asyncio.gather(*(ask(tenant, f"recovery at last {number}") for number in range(5)))
    assert sorted(reply.model for reply in replies) == ["cloud"] * 4 + ["local"]
    assert aimock.asked(local) == 3
    assert (await ask(tenant, "anything")).model == "local"


async def test_a_slow_drip_is_left_for_the_next_model(books: str, tenant: UUID, use: Use, aimock: Aimock) -> None:
    use(aimock.target("local", timeout_seconds=1.0), aimock.target("cloud"), request_limit="5")
    reply = await metered.ask(Story, {"topic": "drips"}, tenant, hear=lambda _: None)
    assert (reply.model, reply.fallback) == ("cloud", True)


async def test_a_stream_cut_after_a_word_is_a_failure_and_paid_for(
    books: str, tenant: UUID, use: Use, aimock: Aimock, calls: Callable[[], Any]
) -> None:
    cloud = aimock.target("cloud")
    use(aimock.target("local"), cloud, request_limit="5")
    heard = list[str]()
    with pytest.raises(ModelFailed):
        await metered.ask(Story, {"topic": "cuts"}, tenant, hear=heard.append)
    assert heard
    assert aimock.asked(cloud) == 0
    (call,) = calls()
    assert (call["state"], call["cost"]) == ("void", None)
    assert 0 < call["charged"] <= call["reserved"]


async def test_malformed_json_goes_to_the_next_model(books: str, tenant: UUID, use: Use, aimock: Aimock) -> None:
    use(aimock.target("local"), aimock.target("cloud"), request_limit="5")
    assert (await ask(tenant, "garbage")).model == "cloud"
