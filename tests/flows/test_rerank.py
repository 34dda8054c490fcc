"""A reranker puts what was found in order, on the tenant's account; without it the search's order stands, noted."""

import asyncio
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from blocks import connections, reranker
from blocks.connections import Known
from blocks.database import Database
from blocks.language_model import LanguageModel
from blocks.reranker import Reranker
from deployments.shim.answers import read_answer
from flows.answer import answer_query
from flows.ingest import ingest_stored
from kowai.reranking import RerankerFailed
from kowai.tables.queries import Query
from kowai.types import Usage
from tasks import metered
from tasks.costs import read_costs
from tasks.receive import Inquiry, receive_ingestion, receive_query
from tasks.retrieve import Retrieved, find_passages, find_reranked
from tasks.step import traced
from tasks.versions import receive_version
from tests.flows.conftest import rows
from tests.rerank_server import RerankServer, serving_reranker

TEAS = {
    "green": "Green tea is steeped for three minutes.",
    "black": "Black tea is steeped for five minutes, and it is taken with milk on the islands.",
    "white": "White tea is steeped for two minutes, never in boiling water.",
}
QUESTION = "How long is green tea steeped?"
BEST = ["black", "white", "green"]  # the longest first, as the server judges
Use = Callable[..., None]


@pytest.fixture
def server() -> Iterator[RerankServer]:
    reranker._circuits.clear()
    with serving_reranker() as running:
        yield running


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    def configure(*rerankers: Reranker, **limits: Decimal) -> None:
        block = LanguageModel(rerankers=list(rerankers), **limits)
        monkeypatch.setitem(connections._known, LanguageModel, Known(block, time.monotonic() + 1e6))

    return configure


@pytest.fixture
async def teas(store: Database, tenant: UUID, tmp_path: Path) -> UUID:
    for name, text in TEAS.items():
        (tmp_path / f"{name}.md").write_text(text)
    ingestion_id = await receive_ingestion([{"uri": str(tmp_path / "*.md")}], tenant)
    with traced():
        await ingest_stored.fn(ingestion_id, tenant)
    return tenant


async def found(tenant: UUID, name: str | None = "judge", k: int = 3) -> Retrieved:
    return await find_reranked(QUESTION, tenant, name, k=k, filters={})


def names(retrieved: Retrieved) -> list[str]:
    return [Path(passage.external_id).stem for passage in retrieved.passages]


async def hybrid(tenant: UUID) -> list[str]:
    return names(Retrieved(await find_passages(QUESTION, tenant, k=3, filters={})))


async def test_its_order_counts_and_the_same_is_paid_once(
    teas: UUID, use: Use, server: RerankServer, database_url: str
) -> None:
    use(server.reranker(price=Decimal(20)))
    first = await found(teas)
    assert (names(first), first.note) == (BEST, None)
    assert first.passages[0].relevance == pytest.approx(len(TEAS["black"]) / 1_000)
    assert await found(teas) == first
    (asked,) = server.asked
    assert (asked["model"], asked["query"], asked["top_n"]) == ("judge-model", QUESTION, 3)
    (call,) = rows(database_url, f"select * from model_call where tenant_id = '{teas}'")
    assert (call["role"], call["target"], call["state"], call["cost"]) == (
        "rerank",
        "judge",
        "settled",
        Decimal("0.02"),
    )
    assert "steeped" not in str(call["reply"])  # the endpoint sent the passages back
    (day,) = rows(database_url, f"select * from spend where tenant_id = '{teas}'")
    assert (day["reserved"], day["spent"], day["replays"]) == (0, Decimal("0.02"), 1)


async def test_the_best_of_many_are_found_behind_the_first(teas: UUID, use: Use, server: RerankServer) -> None:
    use(server.reranker())
    assert names(await found(teas, k=1)) == ["black"]
    use(server.reranker(candidates=1))
    assert names(await found(teas)) == await hybrid(teas)


async def test_nobody_is_asked_unless_named(teas: UUID, use: Use, server: RerankServer) -> None:
    use(server.reranker())
    assert names(await found(teas, None)) == await hybrid(teas)
    assert server.asked == []


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"status": 503}, "answered 503"),
        ({"raw": b"<html>"}, "cannot be understood"),
        ({"raw": b"[1, 2]"}, "cannot be understood"),
        ({"raw": b'{"results": [{"index": 9, "relevance_score": 1}]}'}, "makes no sense"),
        ({"raw": b'{"results": []}'}, "names no passage"),
    ],
)
async def test_the_search_stands_where_it_fails(
    teas: UUID, use: Use, server: RerankServer, fault: dict[str, Any], said: str
) -> None:
    use(server.reranker())
    for name, value in fault.items():
        setattr(server, name, value)
    retrieved = await found(teas)
    assert names(retrieved) == await hybrid(teas)
    assert said in str(retrieved.note)
    assert "order of the search" in str(retrieved.note)


async def test_one_that_is_slow_away_or_unknown_is_done_without(
    teas: UUID, use: Use, server: RerankServer, database_url: str
) -> None:
    server.delay = 2.0
    away = Reranker(name="away", model="m", endpoint="http://127.0.0.1:9/v1", price=Decimal(0))
    use(server.reranker(timeout_seconds=0.1, price=Decimal(2)), away)
    for name, said in {
        "judge": "did not answer within 0.1 s",
        "away": "cannot be reached",
        "nobody": "No reranker",
    }.items():
        retrieved = await found(teas, name)
        assert names(retrieved) == await hybrid(teas)
        assert said in str(retrieved.note)
    (day,) = rows(database_url, f"select * from spend where tenant_id = '{teas}'")
    assert (day["reserved"], day["spent"] > 0, day["releases"]) == (0, True, 1)  # who is slow may send a bill


async def test_nothing_to_put_in_order_is_never_sent(teas: UUID, use: Use, server: RerankServer) -> None:
    use(server.reranker())
    with pytest.raises(RerankerFailed):
        await metered.rerank(QUESTION, [], teas, reranker="judge")
    assert server.asked == []


async def test_one_that_keeps_failing_is_left_alone(teas: UUID, use: Use, server: RerankServer) -> None:
    use(server.reranker())
    server.status = 500
    notes = [str((await found(teas)).note) for _ in range(3)]
    assert len(server.asked) == 2
    assert "resting" in notes[-1]


async def test_it_is_not_asked_beyond_a_limit_or_without_a_price(
    teas: UUID, use: Use, server: RerankServer, database_url: str
) -> None:
    use(server.reranker(price=None), server.reranker("dear", price=Decimal(1_000_000)))
    assert "No price is known" in str((await found(teas)).note)
    assert "could cost" in str((await found(teas, "dear")).note)
    assert server.asked == []
    use(server.reranker(price=None, allow_unknown_price=True))
    assert names(await found(teas)) == BEST
    calls = rows(database_url, f"select cost from model_call where tenant_id = '{teas}' and state = 'settled'")
    assert [call["cost"] for call in calls] == [None]  # unknown is not nothing


async def test_identical_searches_at_once_are_paid_once(teas: UUID, use: Use, server: RerankServer) -> None:
    use(server.reranker(price=Decimal(20)))
    server.delay = 0.1
    assert {tuple(names(each)) for each in await asyncio.gather(*(found(teas) for _ in range(5)))} == {tuple(BEST)}
    assert len(server.asked) == 1


async def answer(store: Database, tenant: UUID) -> Any:
    """Answer the question by a setting of retrieval that names the reranker."""
    version = await receive_version("retrieval", {"reranker": "judge"}, tenant)
    query_id = await receive_query(Inquiry(QUESTION), tenant)
    async with store.transaction(tenant) as connection:
        await connection.execute(update(Query).values(pins={"retrieval": str(version)}))
    with traced():
        await answer_query.fn(query_id, tenant)
    return await read_answer(query_id, tenant)


async def test_a_setting_chooses_it_and_the_answer_says_when_it_was_missing(
    store: Database, teas: UUID, use: Use, server: RerankServer
) -> None:
    use(server.reranker())
    told = await answer(store, teas)
    assert (told.status, told.note, len(server.asked)) == ("done", None, 1)
    server.status = 503
    use(server.reranker(model="another"))
    told = await answer(store, teas)
    assert told.status == "done"
    assert "answered 503" in told.note


async def test_its_price_is_in_the_answers_cost_and_in_the_days_by_model(
    store: Database, teas: UUID, use: Use, server: RerankServer
) -> None:
    use(server.reranker(price=Decimal(20)))
    first, again = await answer(store, teas), await answer(store, teas)
    assert (first.cost, first.usage) == (Decimal("0.02"), Usage(prompt_tokens=1_000, completion_tokens=0))
    assert (again.cost, len(server.asked)) == (first.cost, 1)  # read again, as what it is worth
    (model,) = [share for share in (await read_costs(teas)).shares if share.by == "model"]
    assert (model.name, model.calls, model.cost) == ("judge-model", 1, Decimal("0.02"))


async def test_a_reply_that_makes_no_sense_was_paid_all_the_same(
    store: Database, teas: UUID, use: Use, server: RerankServer
) -> None:
    use(server.reranker(price=Decimal(20), priced_by="searches"))
    server.raw = b'{"results": [], "meta": {"billed_units": {"search_units": 1}}}'
    told = await answer(store, teas)
    assert (told.cost, told.usage.prompt_tokens) == (Decimal("0.02"), 0)  # by searches, which count no tokens
    assert "names no passage" in told.note


async def test_an_answer_whose_reranker_did_not_say_what_it_used_has_no_known_cost(
    store: Database, teas: UUID, use: Use, server: RerankServer
) -> None:
    use(server.reranker(price=Decimal(20)))
    server.told = {}
    told = await answer(store, teas)
    assert (told.cost, told.usage) == (None, Usage())
