"""A workflow that is started again with the same key of the caller's own is started once."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from deployments.shim.app import create_app
from tasks import idempotency
from tests.deployments.conftest import People
from tests.prefect_stand_in import StandIn

PATH, RUNS = "/api/v1/workflows/ask/runs", "/api/v1/workflow-runs"
QUESTION = {"parameters": {"question": "How long is the warranty?"}}
OTHER = {"parameters": {"question": "How long is the guarantee?"}}


async def start(client: httpx.AsyncClient, body: dict[str, Any], key: str = "order-1") -> httpx.Response:
    return await client.post(PATH, json=body, headers={"Idempotency-Key": key})


async def counted(people: People, tenant: UUID) -> tuple[int, int]:
    """Return how many runs and questions are stored."""
    async with people.database.transaction(tenant) as connection:
        counts = "select (select count(*) from workflow_run), (select count(*) from query)"
        return tuple((await connection.execute(text(counts))).one())  # pyright: ignore[reportReturnType]


async def test_the_same_request_starts_one_run_and_answers_it_again(
    lively: People, tenant: UUID, prefect: StandIn
) -> None:
    async with lively.admin(tenant) as client:
        replies = [await start(client, QUESTION), await start(client, QUESTION)]
        spelt_out = {"parameters": QUESTION["parameters"] | {"persona": "assistant"}}
        replies.append(await start(client, spelt_out))  # the default, named
        assert [reply.status_code for reply in replies] == [202, 202, 202]
        assert len({reply.json()["id"] for reply in replies}) == 1
        assert (await start(client, QUESTION, "order-2")).json()["id"] != replies[0].json()["id"]
    assert await counted(lively, tenant) == (2, 2)
    assert len(prefect.runs) == 2


async def test_twins_at_two_shims_start_one_run(lively: People, tenant: UUID, prefect: StandIn) -> None:
    key, other = await lively.key(tenant, "admin"), lively._replace(app=create_app())
    async with (
        other.app.router.lifespan_context(other.app),
        lively.calling(key) as here,
        other.calling(key) as there,
    ):
        replies = await asyncio.gather(*(start(client, QUESTION) for client in (here, there) * 4))
    assert {reply.status_code for reply in replies} == {202}
    assert len({reply.json()["id"] for reply in replies}) == 1
    assert await counted(lively, tenant) == (1, 1)
    assert len(prefect.runs) == 1


async def test_another_request_under_the_key_is_refused_and_starts_nothing(lively: People, tenant: UUID) -> None:
    async with lively.admin(tenant) as client:
        await start(client, QUESTION)
        refused = await start(client, OTHER)
        elsewhere = await client.post(
            "/api/v1/workflows/report-costs/runs", json={}, headers={"Idempotency-Key": "order-1"}
        )
    for reply in (refused, elsewhere):
        assert (reply.status_code, reply.json()["error"]["code"]) == (422, "idempotency_key_reused")
    assert await counted(lively, tenant) == (1, 1)


async def test_a_key_belongs_to_one_caller(lively: People, tenant: UUID, other_tenant: UUID) -> None:
    ids: set[str] = set()
    for of in (tenant, tenant, other_tenant):
        async with lively.admin(of) as client:
            ids.add((await start(client, QUESTION)).json()["id"])
    assert len(ids) == 3


async def test_what_could_not_be_started_leaves_the_key_free(lively: People, tenant: UUID) -> None:
    async with lively.admin(tenant) as client:
        wrong = {"parameters": {"question": " "}}
        assert (await start(client, wrong)).status_code == 422
        assert (await start(client, QUESTION)).status_code == 202


async def test_a_twin_of_one_that_is_being_started_waits_and_is_then_told_so(
    lively: People, tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "PATIENCE_SECONDS", 0.2)
    async with lively.admin(tenant) as client:
        caller = UUID((await client.get("/api/v1/auth/me")).json()["id"])
        given = {"question": QUESTION["parameters"]["question"], "persona": "assistant"}
        claimed = await idempotency.claim("order-1", ["ask", given], caller, tenant)
        assert isinstance(claimed, idempotency.Claim)
        early = await start(client, QUESTION)
        assert (early.status_code, early.json()["error"]["code"]) == (409, "idempotency_in_progress")
        async with lively.database.transaction(tenant) as connection:
            await connection.execute(text("update idempotency_key set leased_until = now()"))
        assert (await start(client, QUESTION)).status_code == 202  # its process is taken for dead
        with pytest.raises(idempotency.StillInProgress):
            async with lively.database.transaction(tenant) as connection:
                await idempotency.settling(claimed)(connection, caller)
    assert await counted(lively, tenant) == (1, 1)


@pytest.mark.parametrize("key", ["", "x" * 256, "two words"])
async def test_what_is_no_key_is_refused(lively: People, tenant: UUID, key: str) -> None:
    async with lively.admin(tenant) as client:
        assert (await start(client, QUESTION, key)).status_code == 422
    assert await counted(lively, tenant) == (0, 0)
