"""A question that is asked again is not embedded again while Redis remembers it; losing Redis loses nothing."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from blocks import shared_cache
from blocks.database import Database
from kowai.settings import settings
from tasks import metered, question_vectors
from tasks.question_vectors import question_vector
from tests.redis_server import RedisServer

pytestmark = [
    pytest.mark.redis,
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="there is no redis-server on this machine"),
]
QUESTION = "How long is green tea steeped?"


@pytest.fixture
def server(tmp_path: Path, store: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisServer]:
    with RedisServer(tmp_path).pointed_at(monkeypatch) as server:
        yield server


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the texts that were really embedded."""
    texts, embed = list[str](), metered.embed

    async def counted(wanted: list[str], tenant_id: UUID, **how: Any) -> tuple[metered.Vectors, object]:
        texts.extend(wanted)
        return await embed(wanted, tenant_id, **how)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(metered, "embed", counted)
    return texts


async def test_a_question_is_embedded_once_and_its_vector_stays_the_same(
    server: RedisServer, tenant: UUID, embedded: list[str]
) -> None:
    (first, space), (again, same_space) = [await question_vector(QUESTION, tenant) for _ in range(2)]
    assert embedded == [QUESTION]
    assert space == same_space
    assert np.array_equal(first, again)
    (key,) = server.client.keys("kowai:vector:*")
    assert QUESTION.encode() not in key
    assert 0 < server.client.ttl(key) <= question_vectors.KEPT_SECONDS


async def test_each_tenant_and_each_space_has_its_own(
    server: RedisServer, tenant: UUID, other_tenant: UUID, embedded: list[str]
) -> None:
    for of in (tenant, other_tenant):
        await question_vector(QUESTION, of)
    assert embedded == [QUESTION, QUESTION]


async def test_a_redis_that_is_killed_or_holds_rubbish_costs_an_embedding_and_no_more(
    server: RedisServer, tenant: UUID, embedded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = await question_vector(QUESTION, tenant)
    (key,) = server.client.keys("kowai:vector:*")
    server.client.set(key, b"rubbish")
    assert np.array_equal((await question_vector(QUESTION, tenant))[0], first)
    server.stop()
    assert np.array_equal((await question_vector(QUESTION, tenant))[0], first)
    server.start()
    monkeypatch.setattr(shared_cache, "REST_SECONDS", 0.0)
    cache = shared_cache.shared_cache()
    assert cache is not None
    await cache.version()
    for _ in range(2):
        assert np.array_equal((await question_vector(QUESTION, tenant))[0], first)
    assert len(embedded) == 4


async def test_without_redis_every_question_is_embedded(store: Database, tenant: UUID, embedded: list[str]) -> None:
    settings.cache_clear()
    for _ in range(2):
        await question_vector(QUESTION, tenant)
    assert len(embedded) == 2
