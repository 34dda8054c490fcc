"""OpenAI's own client holds a cited conversation with KowAI."""

import time
from collections.abc import AsyncIterator, Callable

import httpx
import openai
import pytest
from fastapi import FastAPI

from blocks import connections
from blocks.embedder import Embedder
from deployments.shim.errors import add_error_handlers
from kowai.standing import AccessEnded
from tasks import metered_embedder
from tasks.bought_vectors import BoughtVectors
from tests.deployments.conftest import TEA, Shim
from tests.model_server import Act, ModelServer

GREEN = [{"role": "user", "content": "How long is green tea steeped?"}]
REPLY = "[[ ## found ## ]]\nTrue\n\n[[ ## answer ## ]]\n{}\n\n[[ ## completed ## ]]"


@pytest.fixture
async def client(shim: Shim) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{shim.url}/v1", api_key=shim.key, max_retries=0) as client:
        yield client


async def told(client: openai.AsyncOpenAI, messages: list) -> tuple[list[str], dict, openai.types.CompletionUsage]:
    """Return the pieces of a streamed reply, the extension fields of its last message and the usage."""
    pieces, extension, usage = [], {}, None
    asked = {"model": "assistant", "messages": messages, "stream": True, "stream_options": {"include_usage": True}}
    async for chunk in await client.chat.completions.create(**asked):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            pieces.append(choice.delta.content or "")
            extension |= choice.delta.model_extra or {}
    return pieces, extension, usage


async def test_a_conversation_is_answered_with_citations(client: openai.AsyncOpenAI) -> None:
    first = await client.chat.completions.create(
        model="assistant", messages=[{"role": "user", "content": "How long is green tea steeped?"}]
    )
    message = first.choices[0].message
    assert "three minutes" in (message.content or "")
    assert TEA.count(message.model_extra["citations"][0]["quote"]) == 1
    second = await client.chat.completions.create(
        model="assistant",
        messages=[
            {"role": "user", "content": "How long is green tea steeped?"},
            {"role": "assistant", "content": message.content},
            {"role": "user", "content": "And how long is black tea steeped?"},
        ],
    )
    assert "five minutes" in (second.choices[0].message.content or "")


@pytest.mark.parametrize(
    ("door", "asked"),
    [
        ("/api/v1/query", {"query": "How long is green tea steeped?"}),
        ("/v1/chat/completions", {"model": "assistant", "messages": GREEN}),
    ],
)
async def test_an_answer_that_was_waited_for_is_not_read_once_more_after_it_is_stored(
    shim: Shim, monkeypatch: pytest.MonkeyPatch, door: str, asked: dict
) -> None:
    monkeypatch.setattr("deployments.shim.answers.read_answers", None)
    async with shim.client() as client:
        reply = await client.post(door, json=asked)
    assert "three minutes" in reply.text


async def test_a_stream_spells_out_the_same_answer(client: openai.AsyncOpenAI) -> None:
    question = [{"role": "user", "content": "How long is green tea steeped?"}]
    whole = await client.chat.completions.create(model="analyst", messages=question)
    pieces, ends = [], []
    async for chunk in await client.chat.completions.create(model="analyst", messages=question, stream=True):
        pieces.append(chunk.choices[0].delta.content or "")
        ends.append(chunk.choices[0].finish_reason)
    assert "".join(pieces) == whole.choices[0].message.content
    assert len(pieces) > 2
    assert ends[-1] == "stop"


async def test_personas_are_models(client: openai.AsyncOpenAI) -> None:
    assert "assistant" in [model.id async for model in client.models.list()]


async def test_a_models_words_are_streamed_and_followed_by_their_sources(
    client: openai.AsyncOpenAI, use: Callable[..., None], model_server: ModelServer
) -> None:
    use(model_server.target())
    model_server.default = Act(content=REPLY.format("Green tea is steeped for three minutes [1]."), drip=0.05)
    pieces, extension, usage = await told(client, GREEN)
    words, _, sources = "".join(pieces).partition("\n\n")
    assert words == "Green tea is steeped for three minutes."
    assert len([piece for piece in pieces if piece]) > 3
    assert sources.startswith("[1] ")
    assert extension["citations"][0]["quote"] in sources
    assert (extension["spoken_by"], usage.prompt_tokens, usage.completion_tokens) == ("local", 100, 10)


async def test_a_streamed_conversation_goes_on(client: openai.AsyncOpenAI) -> None:
    pieces, extension, _ = await told(client, GREEN)
    assert "".join(pieces) == extension["answer"]
    turns = [*GREEN, {"role": "assistant", "content": "".join(pieces)}]
    pieces, extension, _ = await told(
        client, [*turns, {"role": "user", "content": "And how long is black tea steeped?"}]
    )
    assert "five minutes" in "".join(pieces)
    assert "five minutes" in extension["citations"][0]["quote"]


async def test_a_model_that_fails_ends_the_stream_with_an_error(
    client: openai.AsyncOpenAI, use: Callable[..., None], model_server: ModelServer
) -> None:
    use(model_server.target())
    model_server.default = Act(status=400)
    with pytest.raises(openai.APIError, match="No language model answered"):
        await told(client, GREEN)


@pytest.mark.parametrize("encoding", [openai.NOT_GIVEN, "float"])  # left out, it is base64
async def test_embeddings_have_the_stores_dimensions_and_count_their_tokens(
    client: openai.AsyncOpenAI, encoding
) -> None:
    reply = await client.embeddings.create(model="any", input=["one", "two"], encoding_format=encoding)
    lengths = [sum(value * value for value in item.embedding) for item in reply.data]
    assert [len(item.embedding) for item in reply.data] == [384, 384]
    assert lengths == pytest.approx([1.0, 1.0], abs=1e-3)
    assert reply.usage.prompt_tokens == reply.usage.total_tokens > 0


@pytest.fixture
def embed_by(monkeypatch: pytest.MonkeyPatch) -> Callable[[Embedder], None]:
    """Return a function that configures an embedder, in whose space the shim's store then is."""

    def configure(block: Embedder) -> None:
        monkeypatch.setattr(metered_embedder, "_bought", BoughtVectors())
        known = connections.Known(block, time.monotonic() + 3600)
        monkeypatch.setitem(connections._known, Embedder, known)

    return configure


@pytest.mark.parametrize("price", ["0", "1000"])
async def test_vectors_of_an_endpoint_come_with_the_usage_that_it_reports(
    client: openai.AsyncOpenAI, embed_by: Callable[[Embedder], None], model_server: ModelServer, price: str
) -> None:
    embed_by(model_server.embedder(price=price, batch_size=2))
    model_server.default = Act(usage={"prompt_tokens": 7, "total_tokens": 7})
    reply = await client.embeddings.create(model="any", input=["one", "two", "three"])
    assert [len(item.embedding) for item in reply.data] == [64] * 3
    assert reply.usage.prompt_tokens == reply.usage.total_tokens == 14
    assert model_server.embedded == [["one", "two"], ["three"]]
    model_server.default = Act(usage=None)
    assert (await client.embeddings.create(model="any", input="four")).usage is None


async def test_vectors_that_cannot_be_paid_are_refused_as_openai_does(
    client: openai.AsyncOpenAI,
    embed_by: Callable[[Embedder], None],
    use: Callable[..., None],
    model_server: ModelServer,
) -> None:
    embed_by(model_server.embedder(price="1000"))
    use(daily_limit="0.01")
    with pytest.raises(openai.RateLimitError, match="more than is left of today's") as refused:
        await client.with_options(max_retries=2).embeddings.create(model="any", input="one")
    assert (refused.value.code, refused.value.type, refused.value.param) == (*["insufficient_quota"] * 2, None)
    assert model_server.embedded == []


async def test_whoever_may_not_ask_any_more_is_not_told_that_the_money_is_used_up() -> None:
    app = FastAPI()
    add_error_handlers(app)

    @app.get("/v1/models")
    async def refuse() -> None:
        raise AccessEnded("You may not ask any more.")

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://kowai") as client:
        reply = await client.get("/v1/models")
    assert (reply.status_code, reply.json()["error"]["code"]) == (403, "access_ended")


async def test_vectors_of_another_length_are_refused(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await client.embeddings.create(model="any", input="one", dimensions=100)
    assert refused.value.param == "dimensions"


async def test_errors_arrive_as_openais_own(client: openai.AsyncOpenAI, shim: Shim) -> None:
    with pytest.raises(openai.NotFoundError, match="choose one of") as unknown:
        await client.chat.completions.create(model="nobody", messages=GREEN)
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.AuthenticationError):
        await client.with_options(api_key="wrong").chat.completions.create(model="assistant", messages=GREEN)
    with pytest.raises(openai.BadRequestError) as empty:
        await client.chat.completions.create(model="assistant", messages=[])
    assert (empty.value.param, empty.value.type) == ("messages", "invalid_request_error")
    with pytest.raises(openai.BadRequestError) as last:
        await client.chat.completions.create(model="assistant", messages=[{"role": "assistant", "content": "Well."}])
    assert last.value.param == "messages"
    async with httpx.AsyncClient(trust_env=False) as anonymous:
        refused = await anonymous.post(
            f"{shim.url}/v1/chat/completions", json={"model": "assistant", "messages": GREEN}
        )
    assert (refused.status_code, refused.json()["error"]["type"]) == (401, "invalid_request_error")
