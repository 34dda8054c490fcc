"""OpenAI's own client holds a cited conversation with KowAI."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import openai
import pytest
import uvicorn

from blocks.database import Database
from deployments.first_key import ensure_first_key
from deployments.shim.app import create_app
from flows.ingest import ingest_stored
from kowai.keys import format_key
from kowai.settings import settings
from tasks.receive import receive_ingestion
from tasks.step import traced

TEA = "Green tea is steeped for three minutes at 80 degrees.\n\nBlack tea is steeped for five minutes at 95 degrees.\n"


@pytest.fixture
async def client(store: Database, tenant: UUID, tmp_path: Path) -> AsyncIterator[openai.AsyncOpenAI]:
    secrets = settings().secrets
    secrets.mkdir(parents=True)
    key = format_key(tenant, "s" * 43)
    (secrets / "api-key").write_text(key)
    await ensure_first_key()
    (tmp_path / "tea.md").write_text(TEA)
    ingestion_id = await receive_ingestion([{"uri": str(tmp_path / "tea.md")}], tenant)
    with traced():
        await ingest_stored.fn(ingestion_id, tenant)
    server = uvicorn.Server(uvicorn.Config(create_app(), port=0, log_level="warning", ws="none"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=key, max_retries=0) as client:
        yield client
    server.should_exit = True
    await serving


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


async def test_embeddings_have_the_stores_dimensions(client: openai.AsyncOpenAI) -> None:
    reply = await client.embeddings.create(model="", input=["one", "two"], encoding_format="float")
    assert [len(item.embedding) for item in reply.data] == [384, 384]


async def test_errors_arrive_as_openais_own(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.UnprocessableEntityError, match="choose one of"):
        await client.chat.completions.create(model="nobody", messages=[{"role": "user", "content": "Who?"}])
    with pytest.raises(openai.AuthenticationError):
        await client.with_options(api_key="wrong").chat.completions.create(
            model="assistant", messages=[{"role": "user", "content": "Who?"}]
        )
