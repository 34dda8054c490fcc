"""Whatever is started and is sent again with the same key of the caller's own is carried out once."""

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from deployments.shim.app import create_app
from deployments.shim.repeats import REPLAYED
from flows.reconcile import reconcile
from tasks import idempotency
from tasks.step import traced
from tests.deployments.conftest import People
from tests.prefect_stand_in import StandIn

QUESTION = {"query": "How long is the warranty?"}
RECORDS = {"documents": [{"_id": "tea", "text": "Green tea is steeped for three minutes."}]}
BATCH = {"questions": ["How long is the warranty?"], "personas": ["assistant"]}
ACCEPTED = {"mode": "background"}
COMPLETION = {"model": "assistant", "messages": [{"role": "user", "content": "How long is the warranty?"}]}
SUITE = {"suite": "handbook"}
TEAM = {"question": "How long is the warranty?", "plan": {"steps": [{"id": "facts", "persona": "analyst"}]}}

# A route, a body, another body, and what names the effect in the reply.
JSON = [
    ("/api/v1/query", QUESTION, {"query": "How long is the guarantee?"}, "query_id"),
    ("/api/v1/query", QUESTION | ACCEPTED, QUESTION, "query_id"),
    ("/api/v1/chat", QUESTION | {"stream": False}, {"query": "Why?", "stream": False}, "query_id"),
    ("/api/v1/documents:batch", RECORDS, {"documents": [{"_id": "tea", "text": "Other."}]}, "ingestion_id"),
    ("/api/v1/documents:batch", RECORDS | ACCEPTED, RECORDS, "ingestion_id"),
    ("/api/v1/ingest", {"sources": ["/nowhere/a.md"]}, {"sources": ["/nowhere/b.md"]}, "ingestion_id"),
    ("/api/v1/batches", BATCH, BATCH | {"personas": ["analyst"]}, "batch_id"),
    ("/api/v1/batches", BATCH | {"dry_run": True}, BATCH, "batch_id"),
    ("/v1/chat/completions", COMPLETION, COMPLETION | {"model": "analyst"}, "id"),
    ("/api/v1/evaluations", SUITE, SUITE | {"personas": ["analyst"]}, "evaluation_id"),
    ("/api/v1/teams", TEAM, TEAM | {"question": "Why?"}, "team_id"),
    ("/api/v1/optimisations", SUITE | {"persona": "assistant"}, SUITE | {"persona": "analyst"}, "optimisation_id"),
]
EFFECTS = """
select (select count(*) from query) + (select count(*) from ingestion) + (select count(*) from batch)
  + (select count(*) from team) + (select count(*) from optimisation) + (select count(*) from promotion)
"""


async def post(client: httpx.AsyncClient, path: str, key: str = "order-1", **sent: Any) -> httpx.Response:
    return await client.post(path, headers={"Idempotency-Key": key}, timeout=60, **sent)


async def counted(people: People, tenant: UUID, what: str = EFFECTS) -> int:
    async with people.database.transaction(tenant) as connection:
        return await connection.scalar(text(what)) or 0


async def change(people: People, tenant: UUID, statement: str) -> None:
    async with people.database.transaction(tenant) as connection:
        await connection.execute(text(statement))


@pytest.mark.parametrize(("path", "body", "other", "named"), JSON)
async def test_the_same_request_has_one_effect_and_the_same_reply(
    lively: People, tenant: UUID, path: str, body: dict[str, Any], other: dict[str, Any], named: str
) -> None:
    async with lively.admin(tenant) as client:
        first, again = [await post(client, path, json=body) for _ in range(2)]
        assert first.is_success, first.text
        assert (first.status_code, first.json()[named]) == (again.status_code, again.json()[named])
        assert (first.headers.get(REPLAYED), again.headers.get(REPLAYED)) == (None, "true")
        refused = await post(client, path, json=other)
        assert refused.status_code == (400 if path.startswith("/v1") else 422)
        assert refused.json()["error"]["code"] == "idempotency_key_reused"
    assert await counted(lively, tenant) == 1


@pytest.mark.parametrize(("path", "body", "other", "named"), JSON)
async def test_twins_at_two_shims_have_one_effect(
    lively: People, tenant: UUID, prefect: StandIn, path: str, body: dict[str, Any], other: dict[str, Any], named: str
) -> None:
    key, second = await lively.key(tenant, "admin"), lively._replace(app=create_app())
    async with (
        second.app.router.lifespan_context(second.app),
        lively.calling(key) as here,
        second.calling(key) as there,
    ):
        replies = await asyncio.gather(*(post(client, path, json=body) for client in (here, there) * 3))
    assert {reply.status_code for reply in replies} == {replies[0].status_code}
    assert len({reply.json()[named] for reply in replies}) == 1
    assert {reply.json().get("answer") for reply in replies} == {replies[0].json().get("answer")}
    assert await counted(lively, tenant) == 1
    assert len(prefect.runs) <= 1


async def test_a_file_that_is_uploaded_again_is_told_of_the_first_upload(lively: People, tenant: UUID) -> None:
    async with lively.admin(tenant) as client:
        first, again, other = [
            await post(client, "/api/v1/documents", files={"files": ("tea.md", content)})
            for content in (b"Green tea.", b"Green tea.", b"Black tea.")
        ]
    assert first.json()["ingestion_id"] == again.json()["ingestion_id"]
    assert first.json()["indexed"] == 1
    assert first.json()["finished_at"]
    assert other.status_code == 422


async def test_a_source_is_walked_once_for_a_key(lively: People, tenant: UUID, tmp_path: Path) -> None:
    async with lively.admin(tenant) as client:
        sources = [(await client.post("/api/v1/sources", json={"uri": str(tmp_path / name)})).json() for name in "ab"]
        walks = [f"/api/v1/sources/{source['id']}:walk" for source in sources]
        first, again = [await post(client, walks[0]) for _ in range(2)]
        assert (first.status_code, first.json()["ingestion_id"]) == (202, again.json()["ingestion_id"])
        assert (await post(client, walks[1])).status_code == 422


async def test_a_version_is_put_through_the_gate_once_for_a_key(lively: People, tenant: UUID) -> None:
    async with lively.admin(tenant) as client:
        settings = [{"slot": "retrieval", "content": {"passages": count}} for count in (3, 4)]
        versions = [(await client.post("/api/v1/versions", json=each)).json()["version_id"] for each in settings]
        first, again, other = [
            await post(client, "/api/v1/promotions", json=SUITE | {"version_id": each})
            for each in (versions[0], *versions)
        ]
        assert (first.status_code, first.json()["promotion_id"]) == (202, again.json()["promotion_id"])
        assert other.status_code == 422
    assert await counted(lively, tenant) == 1


async def test_all_knowledge_is_moved_once_for_a_key(lively: People, tenant: UUID, prefect: StandIn) -> None:
    async with lively.admin(tenant, "platform_admin") as client:
        first, again = [await post(client, "/api/v1/reindex", json={}) for _ in range(2)]
    assert (first.status_code, first.json()) == (202, again.json())
    assert again.headers[REPLAYED] == "true"
    assert len(prefect.runs) == 1


@pytest.mark.parametrize("mode", ["sync", "background"])
async def test_dead_letters_are_replayed_once_for_a_key(
    lively: People, tenant: UUID, prefect: StandIn, tmp_path: Path, mode: str
) -> None:
    wanted = {"mode": mode}
    async with lively.admin(tenant) as client:
        await post(client, "/api/v1/ingest", "dies", json={"sources": [str(tmp_path / "missing.md")], "mode": "sync"})
        replies = await asyncio.gather(*(post(client, "/api/v1/dead-letters:replay", json=wanted) for _ in range(4)))
        assert len(replies[0].json()["ingestion_ids"]) == 1
        assert len({str(reply.json()["ingestion_ids"]) for reply in replies}) == 1
        assert sorted(reply.headers.get(REPLAYED, "") for reply in replies) == ["", *["true"] * 3]
        other = await post(client, "/api/v1/dead-letters:replay", json=wanted | {"causes": ["source_missing"]})
        assert other.status_code == 422
    assert await counted(lively, tenant, "select count(*) from event where kind = 'dead_letters.revived'") == 1


async def test_a_streamed_completion_is_told_again_from_its_beginning(lively: People, tenant: UUID) -> None:
    async with lively.admin(tenant) as client:
        first, again = [
            await post(client, "/v1/chat/completions", json=COMPLETION | {"stream": True}) for _ in range(2)
        ]
    events = [[json.loads(line[6:]) for line in reply.text.splitlines() if "{" in line] for reply in (first, again)]
    assert events[0][-1]["choices"][0]["finish_reason"] == "stop"
    assert {each["id"] for told in events for each in told} == {events[0][0]["id"]}
    assert [told[-1]["choices"] for told in events] == [events[0][-1]["choices"]] * 2
    assert await counted(lively, tenant) == 1


async def test_a_completion_under_a_key_whose_question_failed_is_asked_anew(lively: People, tenant: UUID) -> None:
    async with lively.admin(tenant) as client:
        first = await post(client, "/v1/chat/completions", json=COMPLETION)
        await change(lively, tenant, "update query set status = 'failed'")
        again = await post(client, "/v1/chat/completions", json=COMPLETION)
        assert (again.status_code, again.json()["id"] != first.json()["id"]) == (200, True)


async def test_a_completion_that_takes_too_long_to_wait_for_is_to_be_sent_again(
    lively: People, tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "PATIENCE_SECONDS", 0.2)
    async with lively.admin(tenant) as client:
        await post(client, "/v1/chat/completions", json=COMPLETION)
        await change(lively, tenant, "update query set status = 'running'")
        again = await post(client, "/v1/chat/completions", json=COMPLETION)
        assert (again.status_code, again.json()["error"]["code"]) == (503, "unanswered")


async def test_a_streamed_question_is_told_again_from_its_beginning(lively: People, tenant: UUID) -> None:
    async with lively.admin(tenant) as client:
        first, again = [await post(client, "/api/v1/chat", json=QUESTION) for _ in range(2)]
    assert "event: answer" in first.text
    assert first.headers["X-Query-Id"] == again.headers["X-Query-Id"]
    ends = [json.loads(reply.text.split("event: answer\ndata: ")[1]) for reply in (first, again)]
    assert [end["answer"] for end in ends] == [ends[0]["answer"]] * 2
    assert await counted(lively, tenant) == 1


async def test_what_takes_too_long_to_wait_for_is_accepted(
    lively: People, tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "PATIENCE_SECONDS", 0.2)
    async with lively.admin(tenant) as client:
        query_id = (await post(client, "/api/v1/query", json=QUESTION)).json()["query_id"]
        await change(lively, tenant, "update query set status = 'running'")
        again = await post(client, "/api/v1/query", json=QUESTION)
        assert (again.status_code, again.json()["query_id"], again.json()["status"]) == (202, query_id, "running")
        ingestion_id = (await post(client, "/api/v1/documents:batch", "two", json=RECORDS)).json()["ingestion_id"]
        await change(lively, tenant, "update ingestion set finished_at = null")
        again = await post(client, "/api/v1/documents:batch", "two", json=RECORDS)
        assert (again.status_code, again.json()["ingestion_id"]) == (202, ingestion_id)


@pytest.mark.parametrize("status", ["failed", "stopped"])
async def test_a_question_that_was_not_answered_is_asked_anew(lively: People, tenant: UUID, status: str) -> None:
    async with lively.admin(tenant) as client:
        first = await post(client, "/api/v1/query", json=QUESTION)
        await change(lively, tenant, f"update query set status = '{status}'")
        again = await post(client, "/api/v1/query", json=QUESTION)
        assert (again.status_code, again.json()["status"]) == (200, "done")
        assert again.json()["query_id"] != first.json()["query_id"]


async def test_a_key_is_free_after_a_day_and_forgotten_by_the_nightly_flow(lively: People, tenant: UUID) -> None:
    async with lively.admin(tenant) as client:
        first = await post(client, "/api/v1/query", json=QUESTION)
        await post(client, "/api/v1/query", "young", json=QUESTION)
        await change(lively, tenant, "update idempotency_key set created_at = created_at - interval '25 hours'")
        other = await post(client, "/api/v1/query", json={"query": "How long is the guarantee?"})
        assert other.status_code == 200
        assert other.json()["query_id"] != first.json()["query_id"]
    with traced():
        await reconcile.fn()
    assert await counted(lively, tenant, "select count(*) from idempotency_key") == 1
