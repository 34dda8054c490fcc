"""Appwrite's tables follow the questions and answers of the tenants that are its teams."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from sqlalchemy import text

from blocks import connections
from blocks.appwrite import Appwrite
from blocks.appwrite_calls import DATA
from blocks.appwrite_project import apply
from blocks.database import Database
from kowai.types import Finding
from tasks.feedback import give_feedback
from tasks.findings import report_findings
from tasks.hosting import erase_tenant, remove_files, suspend_tenant
from tasks.mirror import mirror
from tasks.receive import Inquiry, receive_query
from tests.appwrite_server import AppwriteServer, serving

TABLES = yaml.safe_load((Path(__file__).parents[2] / "infra" / "appwrite" / "tables.yaml").read_text())["tables"]
ANSWER = text(
    "insert into answer (id, tenant_id, query_id, text, abstained, fallback, model, confidence)"
    " values (gen_random_uuid(), :tenant, :query, :text, false, false, 'm', 0.5)"
)
SOON = text("update outbox set due_at = now() where kind = 'mirror' and delivered_at is null")


@pytest.fixture
def server() -> Iterator[AppwriteServer]:
    DATA._circuits.clear()
    with serving() as server:
        yield server


@pytest.fixture
async def block(server: AppwriteServer, monkeypatch: pytest.MonkeyPatch, store: Database) -> Appwrite:
    block = server.block(teams={"team-1": "default"}, database="kowai", bucket="originals")
    monkeypatch.setitem(connections._known, Appwrite, connections.Known(block, time.monotonic() + 3600))
    await apply(block, TABLES)
    return block


def rows(server: AppwriteServer, table: str) -> dict[str, dict[str, Any]]:
    return {row["$id"]: row for row in server.rows.values() if row["$tableId"] == table}


async def run(store: Database, tenant: UUID, statement: Any, /, **values: Any) -> None:
    async with store.transaction(tenant) as connection:
        await connection.execute(text(statement) if isinstance(statement, str) else statement, values)


async def test_a_project_is_applied_once_and_what_is_missing_is_made_again(
    server: AppwriteServer, block: Appwrite
) -> None:
    assert set(server.teams) == {"team-1"}
    assert server.buckets["originals"]["$permissions"] == []
    assert server.tables["kowai/answers"]["rowSecurity"]
    assert await apply(block, TABLES) == []
    del server.tables["kowai/answers"]["columns"][-1]
    assert await apply(block, TABLES) == ["column answers.model"]


@pytest.mark.usefixtures("block")
async def test_questions_and_answers_appear_for_the_tenants_team_and_follow_every_change(
    store: Database, tenant: UUID, other_tenant: UUID, server: AppwriteServer
) -> None:
    before = await receive_query(Inquiry("Asked before?"), tenant)
    assert await mirror() == 1
    query = await receive_query(Inquiry("What is tea?"), tenant)
    await receive_query(Inquiry("Not for them."), other_tenant)
    await run(store, tenant, ANSWER, tenant=tenant, query=query, text="A drink.")
    assert await mirror() == 1
    assert set(rows(server, "questions")) == {str(before), str(query)}
    answer = rows(server, "answers")[str(query)]
    assert (answer["answer"], answer["confidence"], answer["tenant"]) == ("A drink.", 0.5, str(tenant))
    assert answer["$permissions"] == ['read("team:team-1")']
    await run(store, tenant, "update query set status = 'done' where id = :id", id=query)
    await run(store, tenant, "delete from answer where query_id = :id", id=query)
    await mirror()
    assert rows(server, "questions")[str(query)]["status"] == "done"
    assert rows(server, "answers") == {}
    await run(store, tenant, "delete from query where id = :id", id=query)
    await mirror()
    assert set(rows(server, "questions")) == {str(before)}
    assert await mirror() == 0


def insights(server: AppwriteServer) -> dict[tuple[str, str | None], dict[str, Any]]:
    return {(row["kind"], row["value"]): row for row in rows(server, "insights").values()}


@pytest.mark.usefixtures("block")
async def test_what_is_found_out_about_a_question_is_told_as_insights_that_go_with_it(
    store: Database, tenant: UUID, server: AppwriteServer
) -> None:
    await mirror()
    query = await receive_query(Inquiry("Who sells tea?"), tenant)
    await run(store, tenant, ANSWER, tenant=tenant, query=query, text="Nothing says so.")
    await run(store, tenant, "update answer set abstained = true where query_id = :id", id=query)
    chosen = "update query set status = 'done', persona = 'analyst', routed_by = 'examples', routing_confidence = 0.75"
    await run(store, tenant, chosen)
    async with store.transaction(tenant) as connection:
        seen = Finding(guard="injection", stage="input", kind="override", start=0, end=3, score=0.5, action="log")
        await report_findings(connection, query, tenant, [seen])
    await mirror()
    told = insights(server)
    assert set(told) == {("topic", "analyst"), ("gap", None), ("guard", "injection")}
    assert {row["subject"] for row in told.values()} == {"Who sells tea?"}
    assert told["topic", "analyst"]["confidence"] == 0.75
    assert {row["about"] for row in told.values()} == {str(query)}
    await give_feedback(query, tenant, tenant, "down", "It is in the price list.")
    await mirror()
    assert insights(server)["rating", "down"]["detail"] == "It is in the price list."
    await give_feedback(query, tenant, tenant, "up", None)
    await run(store, tenant, "delete from answer where query_id = :id", id=query)
    await mirror()
    assert set(insights(server)) == {("topic", "analyst"), ("guard", "injection"), ("rating", "up")}
    await run(store, tenant, "delete from query where id = :id", id=query)
    await mirror()
    assert insights(server) == {}


@pytest.mark.usefixtures("block")
async def test_what_appwrite_misses_while_it_is_down_is_told_later_and_one_it_refuses_holds_up_no_other(
    store: Database, tenant: UUID, server: AppwriteServer
) -> None:
    await mirror()
    server.status = 503
    query = await receive_query(Inquiry("Is anybody there?"), tenant)
    assert await mirror() == 0
    server.status = 0
    DATA._circuits.clear()
    await run(store, tenant, ANSWER, tenant=tenant, query=query, text="Yes.")
    await run(store, tenant, "update answer set model = repeat('m', 300) where query_id = :id", id=query)
    good = await receive_query(Inquiry("And now?"), tenant)
    await run(store, tenant, SOON)
    assert await mirror() == 1
    assert str(good) in rows(server, "questions")
    await run(store, tenant, "update answer set model = 'm' where query_id = :id", id=query)
    await mirror()
    assert rows(server, "answers")[str(query)]["answer"] == "Yes."


@pytest.mark.usefixtures("block")
async def test_an_erased_tenant_leaves_no_row_there_even_if_appwrite_was_down(
    store: Database, tenant: UUID, other_tenant: UUID, server: AppwriteServer
) -> None:
    for number in range(30):
        await receive_query(Inquiry(f"Question {number}?"), tenant)
    await run(store, tenant, "update query set routed_by = 'examples'")
    assert await mirror() == 30
    assert len(rows(server, "insights")) == 30
    await suspend_tenant(tenant, suspended=True)
    server.status = 503
    await erase_tenant(tenant, requested_by=other_tenant, platform_id=other_tenant)
    assert len(rows(server, "questions")) == 30
    server.status = 0
    DATA._circuits.clear()
    await run(store, other_tenant, "update outbox set due_at = now() where kind = 'remove-tenant'")
    await remove_files(other_tenant)
    assert rows(server, "questions") == rows(server, "insights") == {}


async def test_without_a_database_in_the_block_nothing_is_noted(
    store: Database, tenant: UUID, server: AppwriteServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: Callable[[Any], Any] = lambda block: connections.Known(block, time.monotonic() + 3600)  # noqa: E731
    monkeypatch.setitem(connections._known, Appwrite, known(server.block(teams={"team-1": "default"})))
    await mirror()
    await receive_query(Inquiry("What is tea?"), tenant)
    async with store.transaction(tenant) as connection:
        assert await connection.scalar(text("select count(*) from outbox where kind = 'mirror'")) == 0
    assert server.asked == []
