"""Requests are counted in Redis where there is one; losing it loses nothing."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from blocks import shared_cache
from deployments.shim.app import create_app
from tasks.rates import take_requests
from tests.deployments.conftest import People
from tests.deployments.test_limits import ME, allow, guessing
from tests.redis_server import RedisServer

pytestmark = [
    pytest.mark.redis,
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="there is no redis-server on this machine"),
]


@pytest.fixture
def server(tmp_path: Path, people: People, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisServer]:
    with RedisServer(tmp_path).pointed_at(monkeypatch) as server:
        yield server


async def counted_here(people: People, tenant: UUID) -> int:
    async with people.database.transaction(tenant) as connection:
        return await connection.scalar(text("select count(*) from request_rate"))


async def test_two_shims_count_together_in_redis_and_say_when_to_come_back(
    people: People, tenant: UUID, server: RedisServer
) -> None:
    await allow(people, tenant, tenant, requests_per_minute=3)
    key, other = await people.key(tenant, "viewer"), people._replace(app=create_app())
    async with people.calling(key) as here, other.calling(key) as there:
        replies = [await client.get(ME) for client in (here, there, here)]
        refused = await there.get(ME)
    assert [reply.status_code for reply in replies] == [200, 200, 200]
    assert replies[0].headers["RateLimit"].startswith('"caller";r=599;t=')
    assert replies[0].headers["RateLimit-Policy"] == '"caller";q=600;w=60, "tenant";q=3;w=60'
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limited")
    assert 1 <= int(refused.headers["Retry-After"]) <= 20
    assert server.client.keys(f"kowai:rate:*:{tenant}")  # the caller's is soon forgotten
    assert await counted_here(people, tenant) == 0


async def test_strangers_are_counted_there_too(people: People, tenant: UUID, server: RedisServer) -> None:
    codes = await guessing(people)
    assert (codes[0], codes[-1]) == (401, 429)


async def test_redis_and_postgresql_count_alike(people: People, tenant: UUID, server: RedisServer) -> None:
    def whole(spares: list[list[float]]) -> list[list[int]]:
        return [[round(spare / 10) for spare in each] for each in spares]

    async def ten() -> list[list[float]]:
        rates = [(uuid4(), 6), (uuid4(), 4)]
        taken = [await take_requests(tenant, rates) for _ in range(10)]
        return [[spare.total_seconds() for spare in each] for each in taken]

    there = whole(await ten())
    server.stop()
    assert whole(await ten()) == there
    assert [len(each) for each in there] == [2, 2, 2, 2, 2, 2, 1, 1, 1, 1]


async def test_a_redis_that_lost_everything_forgives_a_minutes_requests_and_no_more(
    people: People, tenant: UUID, server: RedisServer
) -> None:
    await allow(people, tenant, tenant, requests_per_minute=1)
    async with people.admin(tenant) as client:
        assert [(await client.get(ME)).status_code for _ in range(2)] == [200, 429]
        server.client.flushall()
        assert [(await client.get(ME)).status_code for _ in range(2)] == [200, 429]


async def test_while_redis_is_down_postgresql_counts_and_health_says_so(
    people: People, tenant: UUID, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_cache, "REST_SECONDS", 0.0)
    monkeypatch.setattr("deployments.shim.components.FRESH_SECONDS", 0.0)
    await allow(people, tenant, tenant, requests_per_minute=2)
    async with people.app.router.lifespan_context(people.app), people.calling() as anybody:
        assert (await anybody.get("/health")).json()["components"]["cache"] == {"state": "ok"}
        server.stop()
        async with people.admin(tenant) as client:
            assert [(await client.get(ME)).status_code for _ in range(3)] == [200, 200, 429]
        health = (await anybody.get("/health")).json()
        assert (health["status"], health["components"]["cache"]) == ("degraded", {"state": "degraded"})
        assert (await anybody.get("/ready")).status_code == 200
        assert await counted_here(people, tenant) == 2
        server.start()
        async with people.admin(tenant) as client:
            assert (await client.get(ME)).status_code == 200
        assert (await anybody.get("/health")).json()["components"]["cache"] == {"state": "ok"}
    assert server.client.keys(f"kowai:rate:*:{tenant}")  # the caller's is soon forgotten


async def test_a_redis_that_failed_is_left_alone_for_a_while(tenant: UUID, server: RedisServer) -> None:
    cache = shared_cache.shared_cache()
    assert cache is not None
    server.stop()
    with pytest.raises(shared_cache.CacheAway):
        await cache.run("return {}", [], [])
    server.start()
    with pytest.raises(shared_cache.CacheAway):
        await cache.run("return {}", [], [])
    assert await cache.version()
    assert await cache.run("return {1}", [], []) == [1]


async def test_without_a_redis_url_there_is_no_cache(people: People) -> None:
    assert shared_cache.shared_cache() is None
