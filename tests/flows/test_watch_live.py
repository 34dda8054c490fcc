"""What is liked less than what was live before is rolled back; too little feedback changes nothing."""

import json
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from blocks.database import Database
from flows.watch_live import watch_live
from tasks.step import traced
from tests.flows.conftest import learn_tea, rows
from tests.flows.test_promote import EQUAL, asked, promoted, suite_of
from tests.model_server import Act, ModelServer


@pytest.fixture
async def live(store: Database, tenant: UUID, tmp_path: Path) -> UUID:
    """Have one answer by the files and one by a version that went live."""
    await learn_tea(tenant, tmp_path / "documents")
    return tenant


def rate(url: str, query_id: UUID, rating: str, tenant: UUID, times: int) -> None:
    """Copy an answered question with its rating, as if so many people had asked and rated it."""
    with psycopg.connect(url) as owner:
        for _ in range(times):
            copy = uuid4()
            for table, key in (("query", "id"), ("answer", "query_id")):
                new = {"id": copy, "query_id": copy} if table == "query" else {"id": uuid4(), "query_id": copy}
                stored = (
                    "select string_agg(quote_ident(attname), ', ') from pg_attribute where attrelid = %s::regclass"
                    " and attnum > 0 and not attisdropped and attgenerated = ''"
                )
                (columns,) = owner.execute(stored, (table,)).fetchone() or ("",)
                copied = f"from {table} t, jsonb_populate_record(t, %s::jsonb) as c where t.{key} = %s"
                owner.execute(
                    f"insert into {table} ({columns}) select c.{columns.replace(', ', ', c.')} {copied}",
                    (psycopg.types.json.Json({name: str(value) for name, value in new.items()}), query_id),
                )
            owner.execute(
                "insert into feedback (id, tenant_id, query_id, given_by, rating) values (%s, %s, %s, %s, %s)",
                (uuid4(), tenant, copy, uuid4(), rating),
            )


async def watched(url: str, tenant: UUID, before: str, after: str, times: int) -> tuple[str, list[object]]:
    old = await asked("How long is green tea steeped?", tenant, url)
    name, _ = await promoted("retrieval", EQUAL, await suite_of(3, tenant), tenant)
    assert name == "Promoted"
    new = await asked("How long is black tea steeped?", tenant, url)
    rate(url, old["query_id"], before, tenant, times)
    rate(url, new["query_id"], after, tenant, times)
    with traced():
        state = await watch_live.fn("default")
    return state.name, [row["outcome"] for row in rows(url, "select outcome from promotion")]


async def test_a_version_that_people_dislike_is_rolled_back(live: UUID, database_url: str) -> None:
    assert await watched(database_url, live, "up", "down", 12) == ("Rolled back", ["rolled_back"])
    assert rows(database_url, "select * from live_setting") == []
    (promotion,) = rows(database_url, "select sentence from promotion")
    assert promotion["sentence"] == "Feedback fell from 100% to 0% liked answers since it went live."


async def test_a_version_that_people_like_as_much_stays(live: UUID, database_url: str) -> None:
    assert await watched(database_url, live, "up", "up", 12) == ("Completed", ["promoted"])


async def test_three_thumbs_are_no_reason(live: UUID, database_url: str) -> None:
    assert await watched(database_url, live, "up", "down", 3) == ("Completed", ["promoted"])


VERDICT = "[[ ## reason ## ]]\nBecause.\n\n[[ ## score ## ]]\n{}\n\n[[ ## completed ## ]]"


async def judged(url: str, tenant: UUID, server: ModelServer, use: Callable[..., None], after: str) -> str:
    """Let answers before be judged best and those after as told, by the sampled judge alone."""
    old = await asked("How long is green tea steeped?", tenant, url)
    await promoted("retrieval", EQUAL, await suite_of(3, tenant), tenant)
    new = await asked("How long is black tea steeped?", tenant, url)
    for answer in (old, new):
        rate(url, answer["query_id"], "up", tenant, 12)
    with psycopg.connect(url) as owner:
        owner.execute("delete from feedback")
    use(server.target("judge", roles=["judge"]))

    def speak() -> None:
        is_new = "black tea steeped" in json.dumps(server.asked[-1])
        server.default = Act(content=VERDICT.format(after if is_new else 5))

    server.on_request = speak
    with traced():
        return (await watch_live.fn("default")).name


async def test_a_version_that_the_judge_thinks_less_of_is_rolled_back(
    live: UUID, database_url: str, model_server: ModelServer, use: Callable[..., None]
) -> None:
    assert await judged(database_url, live, model_server, use, "1") == "Rolled back"
    (promotion,) = rows(database_url, "select sentence from promotion")
    assert promotion["sentence"] == "The judge's mean verdict fell from 1.00 to 0.00 since it went live."


async def test_a_judge_that_talks_nonsense_changes_nothing(
    live: UUID, database_url: str, model_server: ModelServer, use: Callable[..., None]
) -> None:
    assert await judged(database_url, live, model_server, use, "eleven") == "Completed"
    assert rows(database_url, "select outcome from promotion") == [{"outcome": "promoted"}]


async def test_looking_again_asks_the_judge_nothing_new(
    live: UUID, database_url: str, model_server: ModelServer, use: Callable[..., None]
) -> None:
    assert await judged(database_url, live, model_server, use, "5") == "Completed"
    before = len(model_server.asked)
    with traced():
        assert (await watch_live.fn("default")).name == "Completed"
    assert 0 < before == len(model_server.asked)
