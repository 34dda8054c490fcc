"""With a paid embedder, learning and asking are counted, refused when they do not fit, and nothing is lost."""

import time
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from blocks import connections
from blocks.connections import Known
from blocks.database import Database
from blocks.embedder import Embedder
from blocks.language_model import LanguageModel
from flows.answer import answer_query
from flows.ingest import ingest_stored
from flows.reconcile import reconcile
from flows.reindex import reindex
from flows.run_team import run_stored_team
from kowai.errors import PriceUnknown
from kowai.remedies import OTHERWISE, remedy
from tasks import metered_embedder
from tasks.bought_vectors import BoughtVectors
from tasks.costs import read_costs
from tasks.receive import Inquiry, receive_query
from tasks.revive import revive
from tasks.spaces import current_space
from tasks.step import traced
from tasks.teams import Assignment, receive_team
from tests.flows.conftest import rows
from tests.flows.test_answer import read_answer
from tests.flows.test_ingest import found, ingested
from tests.model_server import Act, ModelServer


@pytest.fixture
def paid(model_server: ModelServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Let a dollar buy a thousand tokens, and return a function that says how many dollars a day has."""
    (tmp_path / "tea.md").write_text("# Tea\n\nGreen tea is steeped for three minutes at 80 degrees.\n")
    monkeypatch.setattr(metered_embedder, "_bought", BoughtVectors())
    model_server.default = Act(usage={"prompt_tokens": 20})
    forever, known = time.monotonic() + 1e6, connections._known
    monkeypatch.setitem(known, Embedder, Known(model_server.embedder(price="1000"), forever))

    def limited(dollars: str) -> None:
        block = LanguageModel(request_limit=Decimal(dollars), daily_limit=Decimal(dollars))
        monkeypatch.setitem(known, LanguageModel, Known(block, forever))

    limited("10")
    return limited


async def asked(question: str, tenant: UUID) -> Any:
    query_id = await receive_query(Inquiry(question, "auto"), tenant)
    with traced():
        await answer_query.fn(query_id, tenant)
    return await read_answer(query_id, tenant)


async def test_a_document_is_paid_once_and_its_source_is_told_the_cost(
    store: Database, tenant: UUID, tmp_path: Path, paid: Any, model_server: ModelServer
) -> None:
    for _ in range(2):
        await ingested(tenant, tmp_path / "tea.md")
    day = await read_costs(tenant)
    assert (day.spent, day.reserved, len(model_server.embedded)) == (Decimal("0.02"), 0, 1)
    shares = [(share.name, share.cost) for share in day.shares if share.by == "source"]
    assert shares == [(str(tmp_path / "tea.md"), Decimal("0.02"))]


async def test_what_does_not_fit_into_the_day_waits_as_a_dead_letter_and_is_learnt_when_replayed(
    store: Database, tenant: UUID, tmp_path: Path, paid: Any, model_server: ModelServer
) -> None:
    paid("0.001")
    (item,) = (await ingested(tenant, tmp_path / "tea.md")).items
    assert (item.state, item.cause) == ("dead", "budget_exhausted")
    assert remedy("budget_exhausted") != OTHERWISE != remedy("price_unknown")
    assert model_server.embedded == []
    paid("10")
    (ingestion_id,) = (await revive(tenant, causes=["budget_exhausted"])).ingestion_ids
    with traced():
        await ingest_stored.fn(ingestion_id, tenant)
    assert await found("Green tea?", tenant) == [str(tmp_path / "tea.md")]


async def test_a_question_pays_for_its_vectors_and_its_answer_says_so(
    store: Database, tenant: UUID, tmp_path: Path, paid: Any, database_url: str
) -> None:
    await ingested(tenant, tmp_path / "tea.md")
    answer = await asked("How long is green tea steeped?", tenant)
    (sums,) = rows(database_url, f"select sum(cost) as cost from model_call where query_id = '{answer.query_id}'")
    assert answer.status == "done"
    assert answer.citations
    assert answer.cost == sums["cost"] > 0


async def test_a_question_that_cannot_be_paid_is_refused_which_is_no_failure(
    store: Database, tenant: UUID, tmp_path: Path, paid: Any
) -> None:
    await ingested(tenant, tmp_path / "tea.md")
    paid("0.001")
    answer = await asked("How long is green tea steeped?", tenant)
    assert (answer.status, answer.error.code) == ("refused", "budget_exhausted")
    team_id = await receive_team(Assignment("Tea?", {"steps": [{"id": "one", "persona": "analyst"}]}), tenant)
    with traced():
        end = await run_stored_team.fn(team_id, tenant)
    assert end.name == "Refused"


async def test_a_reindex_that_cannot_be_paid_stops_and_goes_on_where_it_stopped(
    store: Database, tenant: UUID, tmp_path: Path, paid: Any, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ingested(tenant, tmp_path / "tea.md")
    other = Known(model_server.embedder(price="1000", model="other"), time.monotonic() + 1e6)
    monkeypatch.setitem(connections._known, (Embedder, "other"), other)
    paid("0.021")
    with traced():
        assert (await reindex.fn("other")).name == "Waiting"
    paid("10")
    monkeypatch.setattr("tasks.reindex.GRACE_SECONDS", 0)
    with traced():
        await reindex.fn("other")
    assert await found("Green tea?", tenant) == [str(tmp_path / "tea.md")]
    shares = {share.name: share.cost for share in (await read_costs(tenant)).shares if share.by == "source"}
    assert shares[str(tmp_path / "tea.md")] == Decimal("0.04")


async def test_a_reindex_goes_on_for_others_waits_for_who_has_no_money_and_is_finished_at_night(
    store: Database,
    tenant: UUID,
    other_tenant: UUID,
    tmp_path: Path,
    paid: Any,
    model_server: ModelServer,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    poor, rich = sorted([tenant, other_tenant])  # in the order in which they come
    monkeypatch.setattr("tasks.reindex.GRACE_SECONDS", 0)
    other = Known(model_server.embedder(price="1000", model="other"), time.monotonic() + 1e6)
    monkeypatch.setitem(connections._known, (Embedder, "other"), other)
    with psycopg.connect(database_url) as owner:
        owner.execute("insert into budget (tenant_id, daily_limit) values (%s, 10)", (poor,))
    for tenant_id in (poor, rich):
        await ingested(tenant_id, tmp_path / "tea.md")
    afford(database_url, poor, "0.021")
    with traced():
        end = await reindex.fn("other", allowed_loss=0.5)
    assert (end.name, end.message.partition(";")[0]) == (
        "Waiting",
        "Waiting for the next day's budget: chunks 1, tenants 1",
    )
    assert spaces_of(database_url) == [("other", "building", 1), ("words", "current", 2)]
    assert await found("Green tea?", rich) == [str(tmp_path / "tea.md")]
    with traced():
        await reconcile.fn()
    assert spaces_of(database_url) == [("other", "building", 1), ("words", "current", 2)]
    model_server.embedded.clear()
    afford(database_url, poor, "10")
    with traced():
        await reconcile.fn()
    assert [state for _, state, _ in spaces_of(database_url)] == ["current", "retired"]
    assert len(model_server.embedded) == 1
    assert await found("Green tea?", poor) == await found("Green tea?", rich) == [str(tmp_path / "tea.md")]


async def test_a_space_that_waits_for_money_keeps_nobody_from_building_another(
    store: Database, tenant: UUID, tmp_path: Path, paid: Any, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.reindex.GRACE_SECONDS", 0)
    await ingested(tenant, tmp_path / "tea.md")
    for name, price in (("other", "1000"), ("third", "0")):
        block = Known(model_server.embedder(price=price, model=name), time.monotonic() + 1e6)
        monkeypatch.setitem(connections._known, (Embedder, name), block)
    paid("0.021")
    with traced():
        assert (await reindex.fn("other")).name == "Waiting"
        assert await reindex.fn("third") is None
    assert (await current_space()).model == "third"


async def test_a_reindex_without_a_known_price_fails_rather_than_waits(
    store: Database, tenant: UUID, tmp_path: Path, paid: Any, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ingested(tenant, tmp_path / "tea.md")
    block = Known(model_server.embedder(price=None, model="other"), time.monotonic() + 1e6)
    monkeypatch.setitem(connections._known, (Embedder, "other"), block)
    with traced(), pytest.raises(PriceUnknown):
        await reindex.fn("other")


def afford(url: str, tenant_id: UUID, dollars: str) -> None:
    with psycopg.connect(url) as owner:
        owner.execute("update budget set daily_limit = %s where tenant_id = %s", (dollars, tenant_id))


def spaces_of(url: str) -> list[tuple[str, str, int]]:
    """Return every space's model, state and count of vectors."""
    vectors = "(select count(*) from chunk_vector where space_id = s.id) as vectors"
    found = rows(url, f"select model, state, {vectors} from embedding_space s order by model")
    return [(row["model"], row["state"], row["vectors"]) for row in found]
