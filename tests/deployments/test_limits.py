"""Requests, streams, tokens and bodies are limited, and replies say how much is left."""

import json
from uuid import UUID

import pytest
from sqlalchemy import insert, text

from deployments.shim.app import create_app
from kowai.settings import settings
from kowai.tables.limits import Allowance
from tests.deployments.conftest import People

ME = "/api/v1/auth/me"


async def allow(people: People, tenant: UUID, subject: UUID, **limits: int) -> None:
    async with people.database.transaction(tenant) as connection:
        await connection.execute(insert(Allowance).values(tenant_id=tenant, subject=subject, **limits))


async def test_replies_say_what_is_left(people: People, tenant: UUID) -> None:
    async with people.admin(tenant) as client:
        first, second = await client.get(ME), await client.get(ME)
    assert first.headers["RateLimit-Policy"] == '"caller";q=600;w=60, "tenant";q=6000;w=60'
    assert first.headers["RateLimit"].startswith('"caller";r=599;t=')
    assert second.headers["RateLimit"].startswith('"caller";r=598;t=')


async def test_two_shims_count_together_and_say_when_to_come_back(people: People, tenant: UUID) -> None:
    await allow(people, tenant, tenant, requests_per_minute=3)
    key, other = await people.key(tenant, "viewer"), people._replace(app=create_app())
    async with people.calling(key) as here, other.calling(key) as there:
        codes = [(await client.get(ME)).status_code for client in (here, there, here)]
        refused = await there.get(ME)
    assert codes == [200, 200, 200]
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "rate_limited"
    assert 1 <= int(refused.headers["Retry-After"]) <= 20
    assert '"tenant";r=0' in refused.headers["RateLimit"]


async def test_one_flooding_key_leaves_the_tenants_share_to_others(people: People, tenant: UUID) -> None:
    loud, quiet = await people.key(tenant, "viewer"), await people.key(tenant, "viewer")
    async with people.calling(loud) as client:
        await allow(people, tenant, UUID((await client.get(ME)).json()["id"]), requests_per_minute=1)
        await allow(people, tenant, tenant, requests_per_minute=6)
        for _ in range(10):
            await client.get(ME)
    async with people.calling(quiet) as client:
        assert (await client.get(ME)).status_code == 200


async def test_the_tenants_limit_holds_for_all_its_keys_together(people: People, tenant: UUID) -> None:
    await allow(people, tenant, tenant, requests_per_minute=3)
    codes = []
    for _ in range(5):
        async with people.admin(tenant) as client:
            codes.append((await client.get(ME)).status_code)
    assert codes == [200, 200, 200, 429, 429]


async def guessing(people: People) -> list[int]:
    """Return the codes a stranger gets until there are too many guesses; on a busy machine that takes more than 60."""
    codes: list[int] = []
    async with people.calling() as client:
        while 429 not in codes and len(codes) < 600:
            codes.append((await client.post("/api/v1/auth/refresh", json={"refresh_token": "no token"})).status_code)
    return codes


async def test_strangers_may_not_guess_faster_than_one_a_second(people: People, tenant: UUID) -> None:
    codes = await guessing(people)
    assert (codes[0], codes[-1]) == (401, 429)


async def test_a_days_tokens_stop_questions_but_not_reading(people: People, tenant: UUID) -> None:
    await allow(people, tenant, tenant, tokens_per_day=100)
    spent = text(
        "insert into model_call (id, tenant_id, request_hash, role, state, day, fallback, reserved, prompt_tokens,"
        " completion_tokens) values (gen_random_uuid(), :tenant, 'x', 'r', 'settled',"
        " (now() at time zone 'utc')::date, false, 0, 90, 10)"
    )
    async with people.database.transaction(tenant) as connection:
        await connection.execute(spent, {"tenant": tenant})
    async with people.admin(tenant) as client:
        asked = await client.post("/api/v1/query", json={"query": "How long is the warranty?"})
        assert (asked.status_code, asked.json()["error"]["code"]) == (429, "tokens_exhausted")
        assert (await client.get(ME)).status_code == 200


async def test_so_many_answers_are_streamed_at_once_and_no_more(people: People, tenant: UUID) -> None:
    await allow(people, tenant, tenant, streams=0)
    async with people.admin(tenant) as client:
        refused = await client.post("/api/v1/chat", json={"query": "How long is the warranty?"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_streams")
    async with people.database.transaction(tenant) as connection:
        assert await connection.scalar(text("select count(*) from query")) == 0


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"query": ' + b"[" * 200 + b"]" * 200 + b"}", b"]" * 200 + b"[" * 99]
)
async def test_json_that_nests_too_deeply_is_refused(people: People, tenant: UUID, body: bytes) -> None:
    async with people.admin(tenant) as client:
        for kind in ("application/json", "Application/JSON"):
            response = await client.post("/api/v1/query", content=body, headers={"Content-Type": kind})
            assert response.status_code == 422
            assert response.json()["error"]["code"] == "invalid_request"


async def test_a_body_that_is_too_large_is_refused(
    people: People, tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KOWAI_MAX_DOCUMENT_BYTES", "1000")
    monkeypatch.setenv("KOWAI_MAX_BODY_BYTES", "5000")
    settings.cache_clear()
    async with people.admin(tenant) as client:
        large = await client.post("/api/v1/query", json={"query": "x" * 2000})
        files = await client.post("/api/v1/documents", files={"files": ("a.txt", b"x" * 9000)})
    assert [one.status_code for one in (large, files)] == [413, 413]
    assert json.loads(large.text)["error"]["code"] == "too_large"
