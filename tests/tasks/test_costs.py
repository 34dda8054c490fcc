"""A day's costs add up, whoever asks for them."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import dspy
import pytest
from sqlalchemy import insert

from blocks.database import Database
from blocks.language_model import LanguageModel
from flows.report_costs import report_costs
from kowai.tables.ingestion import Source
from kowai.tables.knowledge import Document
from kowai.tables.queries import AnswerRow, Query
from tasks import costs, metered
from tests.model_server import Act, ModelServer


class Capital(dspy.Signature):
    """Name the capital."""

    country: str = dspy.InputField()
    answer: str = dspy.OutputField()


@pytest.fixture
async def a_query(books: str, store: Database, tenant: UUID) -> UUID:
    query_id = uuid4()
    values = {"id": query_id, "tenant_id": tenant, "text": "q", "standalone": "q"}
    asked = insert(Query).values(**values, persona="analyst", status="done")
    async with store.transaction(tenant) as connection:
        await connection.execute(asked)
    return query_id


@pytest.fixture(autouse=True)
def _no_block(monkeypatch: pytest.MonkeyPatch) -> None:
    async def configured() -> LanguageModel:
        return LanguageModel()

    monkeypatch.setattr(costs, "language_model", configured)


async def test_costs_are_shared_out_by_persona_model_and_flow(
    tenant: UUID, other_tenant: UUID, a_query: UUID, use: Callable[..., Any], model_server: ModelServer
) -> None:
    use(model_server.target(price="1000", max_output_tokens=50), request_limit="5")
    await metered.ask(Capital, {"country": "France"}, tenant, query_id=a_query)
    await metered.ask(Capital, {"country": "France"}, tenant, query_id=a_query)
    model_server.default = Act(usage=None)
    await metered.ask(Capital, {"country": "Spain"}, tenant)
    found = await costs.read_costs(tenant)
    assert (found.day, found.daily_limit) == (datetime.now(UTC).date(), 100)
    assert (found.reservations, found.settlements, found.releases, found.replays) == (2, 2, 0, 1)
    shares = {(share.by, share.name): share for share in found.shares}
    assert set(shares) == {
        ("persona", "analyst"),
        ("persona", "none"),
        ("model", "local-model"),
        ("flow", costs.IN_PROCESS),
        ("source", "none"),
    }
    assert shares["persona", "analyst"].cost == Decimal("0.11")
    assert (shares["persona", "none"].cost, shares["persona", "none"].unknown) == (None, 1)
    for by in ("persona", "model", "flow", "source"):
        assert sum(share.charged for share in found.shares if share.by == by) == found.spent
    assert (await costs.read_costs(other_tenant)).spent == 0


async def test_the_nightly_flow_reports_a_tenant_by_name(tenant: UUID, books: str) -> None:
    await report_costs.fn("default", datetime.now(UTC).date())


async def test_a_call_is_shared_out_among_the_sources_its_answer_cites(
    tenant: UUID, a_query: UUID, store: Database, use: Callable[..., Any], model_server: ModelServer
) -> None:
    use(model_server.target(price="1000", max_output_tokens=50), request_limit="5")
    await metered.ask(Capital, {"country": "France"}, tenant, query_id=a_query)
    cited: list[dict[str, str]] = []
    async with store.transaction(tenant) as connection:
        await connection.execute(insert(Source).values(tenant_id=tenant, uri="/notes"))
        for origin in ("/notes/a.md", "/notes/b.md", "upload"):
            document = {"id": uuid4(), "external_id": origin, "origin": origin, "media_type": "text/plain"}
            row = {**document, "tenant_id": tenant, "version": 1, "content_hash": "0" * 64}
            await connection.execute(insert(Document).values(**row))
            cited.append({"document_id": str(document["id"])})
        answer = {"text": "a", "citations": cited, "abstained": False, "model": "m", "fallback": False}
        await connection.execute(insert(AnswerRow).values(tenant_id=tenant, query_id=a_query, **answer))
    shares = {share.name: share for share in (await costs.read_costs(tenant)).shares if share.by == "source"}
    assert {name: share.cost for name, share in shares.items()} == {
        "/notes": Decimal("0.055"),
        "upload": Decimal("0.055"),
    }
