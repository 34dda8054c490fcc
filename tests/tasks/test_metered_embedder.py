"""Vectors of a paid endpoint are reserved, settled and shared out by the same door as replies."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from sqlalchemy import insert

from blocks import connections
from blocks.connections import Known
from blocks.database import Database
from blocks.embedder import Embedder
from kowai.errors import BudgetExhausted, EmbedderBusy, EmbedderFailed, EmbedderRefused, PriceUnknown
from kowai.tables.ingestion import Ingestion, IngestionItem
from kowai.tables.queries import Query
from tasks import costs, metered, metered_embedder
from tasks.bought_vectors import BoughtVectors
from tests.model_server import Act, ModelServer

Read = Callable[[], Any]
Use = Callable[..., Any]
PRICE = "1000"  # dollars per million tokens: a tenth of a cent a token


@pytest.fixture(autouse=True)
def _nothing_bought(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metered_embedder, "_bought", BoughtVectors())


@pytest.fixture
def embed_by(monkeypatch: pytest.MonkeyPatch, use: Use) -> Use:
    """Return a function that configures the embedder and the limits."""

    def configure(block: Embedder, *, request_limit: str = "5", daily_limit: str = "100") -> None:
        use(request_limit=request_limit, daily_limit=daily_limit)
        known = Known(block, time.monotonic() + 1e6)
        monkeypatch.setitem(connections._known, Embedder, known)

    return configure


async def embed(tenant: UUID, *texts: str, **options: Any) -> Any:
    return (await metered.embed(texts, tenant, **({"purpose": "document"} | options)))[0]


async def stored_query(store: Database, tenant: UUID) -> UUID:
    query_id = uuid4()
    values = {"id": query_id, "tenant_id": tenant, "text": "q", "standalone": "q", "persona": "analyst"}
    async with store.transaction(tenant) as connection:
        await connection.execute(insert(Query).values(**values, status="running"))
    return query_id


async def test_what_the_endpoint_reports_is_settled(
    store: Database, tenant: UUID, embed_by: Use, model_server: ModelServer, day: Read, calls: Read
) -> None:
    embed_by(model_server.embedder(price=PRICE))
    model_server.default = Act(usage={"prompt_tokens": 7, "total_tokens": 7})
    vectors = await embed(tenant, "green tea", "black tea", query_id=(query := await stored_query(store, tenant)))
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    (call,) = calls()
    assert (call["state"], call["role"], call["model"], call["query_id"]) == ("settled", "embed", "words", query)
    assert (call["prompt_tokens"], call["completion_tokens"], call["reply"]) == (7, 0, None)
    assert (call["cost"], call["charged"], day()["spent"], day()["reserved"]) == (*[Decimal("0.007")] * 3, 0)
    assert call["reserved"] > call["cost"]


@pytest.mark.parametrize("settings", [{"provider": "minilm"}, {"price": Decimal(0)}])
async def test_what_is_free_leaves_no_trace_in_the_books(
    books: str, tenant: UUID, embed_by: Use, model_server: ModelServer, calls: Read, settings: dict[str, Any]
) -> None:
    embed_by(model_server.embedder().model_copy(update=settings), daily_limit="0")
    assert len(await embed(tenant, "green tea")) == 1
    assert calls() == []


async def test_a_published_price_is_known(
    books: str, tenant: UUID, embed_by: Use, model_server: ModelServer, calls: Read
) -> None:
    embed_by(model_server.embedder(price=None, model="text-embedding-3-large"))
    model_server.default = Act(usage={"prompt_tokens": 1_000, "total_tokens": 1_000})
    await embed(tenant, "green tea")
    assert calls()[0]["cost"] == Decimal("0.00013")


async def test_an_unknown_price_needs_an_allowance_and_stays_unknown(
    books: str, tenant: UUID, embed_by: Use, model_server: ModelServer, calls: Read
) -> None:
    embed_by(model_server.embedder(price=None))
    with pytest.raises(PriceUnknown):
        await embed(tenant, "green tea")
    assert model_server.embedded == []
    embed_by(model_server.embedder(price=None, allow_unknown_price=True))
    await embed(tenant, "green tea")
    released, settled = calls()
    assert (released["state"], settled["state"]) == ("released", "settled")
    assert (settled["prompt_tokens"], settled["cost"], settled["charged"]) == (100, None, 0)


async def test_what_was_paid_within_minutes_is_not_paid_again(
    books: str, tenant: UUID, other_tenant: UUID, embed_by: Use, model_server: ModelServer, calls: Read
) -> None:
    embed_by(model_server.embedder(price=PRICE))
    first = await embed(tenant, "green tea", "black tea", "green tea")
    again = await embed(tenant, "white tea", "green tea")
    assert np.array_equal(first[0], again[1])
    assert model_server.embedded == [["green tea", "black tea"], ["white tea"]]
    await embed(other_tenant, "green tea")
    assert len(calls()) == 3


async def test_an_endpoint_that_fails_half_way_is_paid_for_its_half_and_a_retry_for_the_rest(
    books: str, tenant: UUID, embed_by: Use, model_server: ModelServer, day: Read, calls: Read
) -> None:
    embed_by(model_server.embedder(price=PRICE, batch_size=1))
    model_server.script = [Act(usage={"prompt_tokens": 3}), Act(status=429)]
    with pytest.raises(EmbedderBusy):
        await embed(tenant, "one", "two")
    (call,) = calls()
    assert (call["state"], call["cause"]) == ("void", "EmbedderBusy")
    assert (call["prompt_tokens"], call["cost"], call["charged"]) == (3, Decimal("0.003"), Decimal("0.003"))
    model_server.default = Act(usage={"prompt_tokens": 4})
    assert len(await embed(tenant, "one", "two")) == 2
    assert model_server.embedded == [["one"], ["two"], ["two"]]
    assert (day()["spent"], day()["reserved"]) == (Decimal("0.007"), 0)


@pytest.mark.parametrize("act", [Act(status=503), Act(status=400), Act(status=429)])
async def test_a_call_that_is_turned_away_is_released(
    books: str, tenant: UUID, embed_by: Use, model_server: ModelServer, day: Read, act: Act
) -> None:
    embed_by(model_server.embedder(price=PRICE))
    model_server.default = act
    with pytest.raises(EmbedderFailed):
        await embed(tenant, "green tea")
    assert (day()["spent"], day()["reserved"], day()["releases"]) == (0, 0, 1)


@pytest.mark.parametrize("act", [Act(delay=60), Act(cut=True)])
async def test_a_call_that_was_sent_and_never_answered_counts_as_the_worst_it_may_have_cost(
    books: str, tenant: UUID, embed_by: Use, model_server: ModelServer, day: Read, calls: Read, act: Act
) -> None:
    embed_by(model_server.embedder(price=PRICE, timeout_seconds=1.0 if act.delay else 60.0))
    model_server.default = act
    with pytest.raises(EmbedderFailed):
        await embed(tenant, "green tea")
    (call,) = calls()
    assert (call["state"], call["cost"], call["prompt_tokens"]) == ("void", None, None)
    assert call["charged"] == call["reserved"] == day()["spent"] > 0


async def test_an_endpoint_that_is_not_there_costs_nothing(
    books: str, tenant: UUID, embed_by: Use, model_server: ModelServer, day: Read
) -> None:
    embed_by(model_server.embedder(price=PRICE, endpoint="http://127.0.0.1:9/v1"))
    with pytest.raises(EmbedderFailed):
        await embed(tenant, "green tea")
    assert (day()["spent"], day()["reserved"]) == (0, 0)


async def test_a_reply_without_usage_counts_as_the_worst_case(
    books: str, tenant: UUID, embed_by: Use, model_server: ModelServer, calls: Read
) -> None:
    embed_by(model_server.embedder(price=PRICE))
    model_server.default = Act(usage=None)
    await embed(tenant, "green tea")
    (call,) = calls()
    assert (call["state"], call["cost"]) == ("settled", None)
    assert call["charged"] == call["reserved"] > 0


async def test_a_reply_that_makes_no_sense_is_released(
    books: str, tenant: UUID, embed_by: Use, model_server: ModelServer, day: Read
) -> None:
    embed_by(model_server.embedder(price=PRICE))
    model_server.default = Act(raw=b"{}")
    with pytest.raises(EmbedderRefused):
        await embed(tenant, "green tea")
    assert (day()["spent"], day()["reserved"]) == (0, 0)


async def test_a_request_has_a_limit_of_its_own_and_what_is_indexed_only_the_days(
    books: str, tenant: UUID, embed_by: Use, model_server: ModelServer, calls: Read
) -> None:
    embed_by(model_server.embedder(price=PRICE), request_limit="0.01")
    with pytest.raises(BudgetExhausted, match="one request may"):
        await embed(tenant, "green tea")
    shares = {uuid4(): 1}
    await embed(tenant, "green tea", shares=shares)
    assert [(call["state"], call["role"]) for call in calls()] == [("released", "embed"), ("settled", "index")]
    embed_by(model_server.embedder(price=PRICE), request_limit="0.01", daily_limit="0.15")
    with pytest.raises(BudgetExhausted, match="left of today's"):
        await embed(tenant, "black tea", shares=shares)
    assert len(model_server.embedded) == 1


async def test_200_callers_never_exceed_a_budget_for_50(
    books: str, tenant: UUID, embed_by: Use, model_server: ModelServer, day: Read, calls: Read
) -> None:
    embed_by(model_server.embedder(price=PRICE))
    await embed(tenant, "text 999")
    worst = calls()[0]["reserved"]
    limit = 50 * worst + day()["spent"]
    embed_by(model_server.embedder(price=PRICE), daily_limit=str(limit))
    model_server.default = Act(usage={"prompt_tokens": int(worst * 1000)}, delay=0.02)
    model_server.embedded.clear()

    async def attempt(number: int) -> bool:
        try:
            await embed(tenant, f"text {number:03}")
        except BudgetExhausted:
            return False
        return True

    answered = await asyncio.gather(*(attempt(number) for number in range(200)))
    assert sum(answered) == len(model_server.embedded) == 50
    assert (day()["spent"], day()["reserved"]) == (limit, 0)
    assert day()["reservations"] == day()["settlements"] + day()["releases"]


async def test_what_is_indexed_is_shared_out_among_the_sources_it_came_from(
    store: Database, books: str, tenant: UUID, embed_by: Use, model_server: ModelServer
) -> None:
    embed_by(model_server.embedder(price=PRICE))
    ingestion, items = uuid4(), [uuid4(), uuid4()]
    async with store.transaction(tenant) as connection:
        await connection.execute(insert(Ingestion).values(id=ingestion, tenant_id=tenant))
        for item_id, uri in zip(items, ("/notes/a.md", "/mail/b.eml"), strict=True):
            item = {"id": item_id, "tenant_id": tenant, "ingestion_id": ingestion, "uri": uri}
            await connection.execute(insert(IngestionItem).values(**item))
    await embed(tenant, "one", "two", "three", "four", shares=Counter({items[0]: 3, items[1]: 1}))
    shares = {share.name: share for share in (await costs.read_costs(tenant)).shares if share.by == "source"}
    assert {name: share.cost for name, share in shares.items()} == {
        "/notes/a.md": Decimal("0.075"),
        "/mail/b.eml": Decimal("0.025"),
    }
