"""A failing target is followed by the next one, and only by it; over real HTTP."""

import asyncio
import socket
import time
from types import SimpleNamespace

import dspy
import pytest
from dspy import lm15

from blocks.engines import AsyncFailover, BlockingEngine, circuit_of
from blocks.language_model import Target
from kowai.correlation import correlated
from tests.model_server import LLAMA_CPP, VLLM, Act, ModelServer

QUESTION = lm15.Request(model="any", messages=(lm15.Message.user("What is the capital of France?"),))


def nobody(name: str = "local") -> Target:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return Target(name=name, model="m", endpoint=f"http://127.0.0.1:{probe.getsockname()[1]}/v1")


@pytest.mark.parametrize(
    "act",
    [
        Act(status=429),
        Act(status=429, retry_after="2"),
        Act(status=429, code="insufficient_quota"),
        Act(status=500),
        Act(status=503),
        Act(status=504),
        Act(delay=30),
        Act(raw=b"<html>bad gateway</html>"),
        Act(raw=b'{"choices": [{"message"'),
        Act(status=400, message=VLLM),
        Act(status=400, message=LLAMA_CPP),
        Act(status=400, code="context_length_exceeded", message="too long"),
    ],
    ids=lambda act: f"{act.status} {act.code or act.retry_after or act.message[:20]} {act.raw or ''} {act.delay}",
)
async def test_what_is_the_targets_fault_goes_to_the_next_target(
    act: Act, model_server: ModelServer, second_server: ModelServer
) -> None:
    model_server.default = act
    patience = 1.0 if act.delay else 60.0
    engine = AsyncFailover([model_server.target(timeout_seconds=patience), second_server.target("cloud")])
    assert (await engine.complete(QUESTION)).model == "cloud-model"
    assert len(model_server.asked) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 422])
async def test_what_is_ones_own_fault_is_raised_at_once(
    status: int, model_server: ModelServer, second_server: ModelServer
) -> None:
    model_server.default = Act(status=status)
    engine = AsyncFailover([model_server.target(), second_server.target("cloud")])
    with pytest.raises(lm15.ProviderError):
        await engine.complete(QUESTION)
    assert second_server.asked == []


async def test_what_litellm_translates_for_fails_over_and_streams_like_any_target(
    model_server: ModelServer, second_server: ModelServer
) -> None:
    translated = {"transport": "litellm", "model": "hosted_vllm/served"}
    first = model_server.target("translated", timeout_seconds=120.0).model_copy(update=translated)
    model_server.script = [Act(status=503)]
    engine = AsyncFailover([first, second_server.target("cloud")])
    assert (await engine.complete(QUESTION)).model == "cloud-model"
    with correlated("support-case-0815.b"):
        assert "Paris" in ((await engine.complete(QUESTION)).text or "")
    assert model_server.headers[-1]["x-request-id"] == "support-case-0815.b"
    assert [event.type async for event in engine.stream(QUESTION)][-1] == "end"
    assert (len(model_server.asked), len(second_server.asked)) == (3, 1)


def test_a_target_without_an_endpoint_must_be_litellms() -> None:
    with pytest.raises(ValueError, match="An endpoint is needed"):
        Target(name="nowhere", model="m")
    assert Target(name="cloud", model="bedrock/amazon.nova-pro", transport="litellm").endpoint == ""


async def test_a_refused_connection_goes_to_the_next_target(second_server: ModelServer) -> None:
    engine = AsyncFailover([nobody(), second_server.target("cloud")])
    assert (await engine.complete(QUESTION)).model == "cloud-model"


async def test_an_open_circuit_is_skipped_and_an_overflow_opens_none(
    model_server: ModelServer, second_server: ModelServer
) -> None:
    engine = AsyncFailover([model_server.target(), second_server.target("cloud")])
    model_server.default = Act(status=400, message=VLLM)
    for _ in range(4):
        await engine.complete(QUESTION)
    assert len(model_server.asked) == 4
    model_server.default = Act(status=500)
    for _ in range(4):
        await engine.complete(QUESTION)
    assert len(model_server.asked) == 6


async def test_when_the_rest_is_over_a_single_probe_finds_out(
    model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = model_server.target()
    model_server.default = Act(status=429, retry_after="60")
    engine = AsyncFailover([target])
    with pytest.raises(lm15.RateLimitError):
        await engine.complete(QUESTION)
    with pytest.raises(lm15.TransportError, match="resting"):
        await engine.complete(QUESTION)
    model_server.default = Act(delay=0.3)
    later = time.monotonic() + 61
    monkeypatch.setattr("blocks.engines.time", SimpleNamespace(monotonic=lambda: later))
    replies = await asyncio.gather(*(engine.complete(QUESTION) for _ in range(5)), return_exceptions=True)
    assert [isinstance(reply, lm15.Response) for reply in replies].count(True) == 1
    assert len(model_server.asked) == 2
    assert isinstance(await engine.complete(QUESTION), lm15.Response)
    assert circuit_of(target).enter(0.0)


async def test_a_slow_drip_is_cut_off(model_server: ModelServer) -> None:
    model_server.default = Act(content="word " * 100, drip=0.2)
    engine = AsyncFailover([model_server.target(timeout_seconds=0.1)])
    with pytest.raises(lm15.TimeoutError):
        [event async for event in engine.stream(QUESTION)]


async def test_json_adapters_send_a_schema(model_server: ModelServer) -> None:
    model_server.default = Act(content='{"answer": "Paris"}')
    engine = AsyncFailover([model_server.target()])
    blocking = BlockingEngine(engine, asyncio.get_running_loop())
    model = dspy.LM("kowai/test", engine=blocking, async_engine=engine, cache=False, num_retries=0)
    with dspy.context(lm=model, adapter=dspy.JSONAdapter(), disable_history=True):
        assert (await dspy.Predict("question -> answer").acall(question="?")).answer == "Paris"
        asked = await asyncio.to_thread(dspy.Predict("question -> answer"), question="again?")
    assert asked.answer == "Paris"
    assert all(request["response_format"]["type"] == "json_schema" for request in model_server.asked)
