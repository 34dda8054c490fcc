"""A quote is an upper bound of all that a batch reserves, with every call beside the answers switched on."""

import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from blocks import connections, reranker
from blocks.connections import Known
from blocks.database import Database
from blocks.language_model import LanguageModel
from flows.ingest import ingest_stored
from flows.run_personas import run_batch
from kowai.policies import Switch
from kowai.question_sets import read_rows
from tasks.batches import Order, receive_batch
from tasks.policy import switch_guard
from tasks.question_sets import receive_question_set
from tasks.quote import quote_batch
from tasks.receive import receive_ingestion
from tasks.step import traced
from tasks.versions import receive_version
from tests.flows.conftest import rows
from tests.model_server import Act, ModelServer
from tests.rerank_server import RerankServer, serving_reranker

TEAS = {
    "green": "Green tea is steeped for three minutes at 80 degrees. Ask ann@tea.example for <passages> and [[ ## it.",
    "black": "Black tea is steeped for five minutes, and it is taken with milk on the islands.",
    "white": "White tea is steeped for two minutes, never in boiling water.",
}
SAID = {
    "question": "Green tea? " * 700,
    "persona": "developer",
    "confidence": "0.9",
    "found": "True",
    "answer": "Green tea is steeped for three minutes at 80 degrees [1][2][3]. Black tea is steeped for five minutes.",
    "supported": "[1, 2]",
}
EVERYTHING = "\n\n".join([*(f"[[ ## {name} ## ]]\n{text}" for name, text in SAID.items()), "[[ ## completed ## ]]"])


@pytest.fixture
def rerank_server() -> Iterator[RerankServer]:
    reranker._circuits.clear()
    with serving_reranker() as running:
        yield running


@pytest.fixture
async def teas(store: Database, tenant: UUID, tmp_path: Path, database_url: str) -> UUID:
    """Learn three documents and let a reranker put what is found in order."""
    for name, text in TEAS.items():
        (tmp_path / f"{name}.md").write_text(text)
    ingestion_id = await receive_ingestion([{"uri": str(tmp_path / "*.md")}], tenant)
    with traced():
        await ingest_stored.fn(ingestion_id, tenant)
    version_id = await receive_version("retrieval", {"reranker": "judge"}, tenant)
    with psycopg.connect(database_url) as owner:
        owner.execute("insert into live_setting values (%s, 'retrieval', %s)", (tenant, version_id))
    return tenant


def configure(monkeypatch: pytest.MonkeyPatch, **block: Any) -> None:
    limits = {"request_limit": Decimal(50), "daily_limit": Decimal(10_000)}
    known = Known(LanguageModel(**limits, **block), time.monotonic() + 1e6)
    monkeypatch.setitem(connections._known, LanguageModel, known)


async def quoted_and_reserved(questions: list[str], personas: list[str], tenant: UUID, url: str) -> tuple[Any, Any]:
    set_id = await receive_question_set("a set", read_rows(questions).questions, tenant)
    batch_id = await receive_batch(Order(set_id, personas, approve_above=None), tenant)
    quote = (await quote_batch(batch_id, tenant)).quote
    with traced():
        await run_batch.fn(batch_id, tenant)
    (spent,) = rows(url, "select sum(reserved) as reserved, sum(cost) as cost from model_call")
    return quote, spent


@pytest.mark.parametrize("priced_by", ["tokens", "searches"])
async def test_a_quote_covers_rephrasing_routing_reranking_and_the_check_of_citations(
    teas: UUID,
    database_url: str,
    model_server: ModelServer,
    rerank_server: RerankServer,
    monkeypatch: pytest.MonkeyPatch,
    priced_by: str,
) -> None:
    await switch_guard(Switch(guard="personal_data", stage="input", action="mask"), teas)
    fast = model_server.target("fast", price="10", max_output_tokens=50, roles=("fast",))
    known = model_server.target("known", price="20", max_output_tokens=80, roles=("fast", "careful"))
    careful = model_server.target("careful", price="30", max_output_tokens=100)
    judge = rerank_server.reranker(price=Decimal(5), priced_by=priced_by)
    targets = [fast, known.model_copy(update={"model": "gpt-4o-mini"}), careful]
    configure(monkeypatch, targets=targets, check_support=True, rerankers=[judge])
    model_server.default = Act(content=EVERYTHING)
    questions = ["Green tea?", f"How long is green tea steeped? I am {'very ' * 150} thirsty."]
    quote, spent = await quoted_and_reserved(questions, ["auto", "assistant"], teas, database_url)
    asked = {call["role"] for call in rows(database_url, "select role from model_call")}
    texts = str([call["messages"] for call in model_server.asked])
    assert asked >= {"fast", "rerank", "careful"}
    assert all(said in texts for said in ("Choose the persona", "Rewrite the last message", "Say which claims"))
    assert spent["reserved"] <= quote.worst_dollars
    assert quote.dollars < quote.worst_dollars


async def test_without_a_model_a_batch_costs_what_its_reranker_does(
    teas: UUID, database_url: str, rerank_server: RerankServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    rerank_server.told = {"usage": {"total_tokens": 100}}
    configure(monkeypatch, rerankers=[rerank_server.reranker(price=Decimal(5))])
    quote, spent = await quoted_and_reserved(["Green tea?", "Black tea?"], ["assistant"], teas, database_url)
    assert 0 < spent["cost"] <= spent["reserved"] <= quote.worst_dollars
    assert 0 < quote.dollars <= quote.worst_dollars
    assert "unknown" not in quote.sentence
