"""A quote is an upper bound of all that is reserved, with every call beside the answers switched on."""

import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from blocks import connections, reranker
from blocks.connections import Known
from blocks.database import Database
from blocks.embedder import Embedder
from blocks.language_model import LanguageModel
from flows.evaluate import evaluate
from flows.ingest import ingest_stored
from flows.optimise import optimise, run_optimisation
from flows.promote import promote, run_promotion
from flows.run_personas import run_batch
from flows.run_team import run_team
from kowai.optimisation import half_of
from kowai.policies import Switch
from kowai.question_sets import read_rows
from kowai.settings import settings
from kowai.suites import Limits
from kowai.teams.plan import TeamLimits
from tasks import metered_embedder
from tasks.batches import Order, receive_batch
from tasks.bought_vectors import BoughtVectors
from tasks.evaluations import Trial
from tasks.optimise import Wish, receive_optimisation
from tasks.policy import switch_guard
from tasks.promote import receive_promotion
from tasks.question_sets import receive_question_set
from tasks.quote import quote_batch
from tasks.quote_evaluation import quote_evaluations, quote_promotion
from tasks.quote_optimisation import quote_optimisation
from tasks.quote_team import quote_team
from tasks.receive import receive_ingestion
from tasks.step import traced
from tasks.teams import Assignment
from tasks.versions import receive_version
from tests.flows.conftest import rows
from tests.flows.test_evaluate import evaluated, stored
from tests.flows.test_run_team import run
from tests.model_server import Act, ModelServer, serving
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
    "reason": "It says what was expected.",
    "score": "4",
    "thought": "Somebody else may know.",
    "tool": "persona",
    "arguments": '{"persona": "technical", "question": "How long is black tea steeped?"}',
    "steps": '[{"id": "one", "persona": "creative", "task": "Look.", "needs": [], "tools": ["persona", "search"]}]',
}
LONG = f"How long is green tea steeped? I am {'very ' * 150} thirsty."
ASKED: list[dict[str, Any]] = [{"question": "Green tea?", "persona": "auto"}, {"question": LONG}]
CASES = [
    {"id": f"case {n}", "answers": ["three minutes"], "documents": ["green.md"], **case}
    for n, case in enumerate([*ASKED, *[{"question": "Tea?"}] * 6])
]
STEPS = [
    {"id": "green", "persona": "analyst", "tools": ["persona", "search"], "limits": {"iterations": 2}},
    {"id": "black", "persona": "technical", "task": LONG, "needs": ["green"], "tools": ["persona"]},
]
EVERYTHING = "\n\n".join([*(f"[[ ## {name} ## ]]\n{text}" for name, text in SAID.items()), "[[ ## completed ## ]]"])


@pytest.fixture
def rerank_server() -> Iterator[RerankServer]:
    reranker._circuits.clear()  # pyright: ignore[reportPrivateUsage]
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
    monkeypatch.setitem(connections._known, LanguageModel, known)  # pyright: ignore[reportPrivateUsage]


async def quoted_and_reserved(questions: list[str], personas: list[str], tenant: UUID, url: str) -> tuple[Any, Any]:
    set_id = await receive_question_set("a set", read_rows(questions).questions, tenant)
    order = Order(set_id, personas)
    quote, batch_id = await quote_batch(order, tenant), await receive_batch(order, tenant)
    with traced():
        await run_batch.fn(batch_id, tenant)
    return quote, taken(url)


@pytest.fixture
async def priced(
    request: pytest.FixtureRequest,
    teas: UUID,
    model_server: ModelServer,
    rerank_server: RerankServer,
    monkeypatch: pytest.MonkeyPatch,
) -> UUID:
    """Price three models, one of a known encoding, a judge and a reranker; let them mask and check."""
    await switch_guard(Switch(guard="personal_data", stage="input", action="mask"), teas)
    fast = model_server.target("fast", price="10", max_output_tokens=50, roles=("fast",))
    known = model_server.target("known", price="20", max_output_tokens=80, roles=("fast", "careful"))
    careful = model_server.target("careful", price="30", max_output_tokens=100)
    judge = model_server.target("judge", price="15", max_output_tokens=60, roles=("judge",))
    targets = [fast, known.model_copy(update={"model": "gpt-4o-mini"}), careful, judge]
    reranker = rerank_server.reranker(price=Decimal(5), priced_by=getattr(request, "param", "tokens"))
    configure(monkeypatch, targets=targets, check_support=True, rerankers=[reranker])
    model_server.default = Act(content=EVERYTHING)
    return teas


@pytest.fixture
def buying(model_server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let vectors cost much, and nothing be kept of them."""
    monkeypatch.setattr(metered_embedder, "_bought", BoughtVectors(most_bytes=0))
    monkeypatch.setattr("tasks.route._routers", {})
    block = model_server.embedder(price="1000")
    monkeypatch.setitem(connections._known, Embedder, Known(block, time.monotonic() + 1e6))  # pyright: ignore[reportPrivateUsage]


@pytest.fixture
def bought(buying: None, priced: UUID, model_server: ModelServer, database_url: str) -> UUID:
    """Let nobody say what anything used, which counts as the worst, and begin with nothing spent."""
    model_server.default = Act(content=EVERYTHING, usage=None)
    with psycopg.connect(database_url) as owner:
        owner.execute("truncate model_call")
    return priced


async def spent_by(work: Awaitable[Any], url: str) -> tuple[Decimal, Decimal]:
    """Return what something spent in all, and on vectors."""
    of_vectors = "coalesce(sum(charged) filter (where role = 'embed'), 0) as embedded"
    sums = f"select coalesce(sum(charged), 0) as spent, {of_vectors} from model_call"
    (before,) = rows(url, sums)
    await work
    (after,) = rows(url, sums)
    return after["spent"] - before["spent"], after["embedded"] - before["embedded"]


def taken(url: str) -> Any:
    sums = "sum(reserved) as reserved, sum(charged) as charged, sum(cost) as cost"
    (spent,) = rows(url, f"select {sums}, array_agg(distinct role) as roles from model_call")
    return spent


@pytest.mark.parametrize("priced", ["tokens", "searches"], indirect=True)
async def test_a_quote_covers_rephrasing_routing_reranking_and_the_check_of_citations(
    priced: UUID, database_url: str, model_server: ModelServer
) -> None:
    questions = ["Green tea?", LONG]
    quote, spent = await quoted_and_reserved(questions, ["auto", "assistant"], priced, database_url)
    texts = str([call["messages"] for call in model_server.asked])
    assert {*spent["roles"]} >= {"fast", "rerank", "careful"}
    assert all(said in texts for said in ("Choose the persona", "Rewrite the last message", "Say which claims"))
    assert spent["reserved"] <= quote.worst_dollars
    assert 0 < quote.dollars < quote.worst_dollars


async def test_without_a_model_a_batch_costs_what_its_reranker_does(
    teas: UUID, database_url: str, rerank_server: RerankServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    rerank_server.told = {"usage": {"total_tokens": 100}}
    configure(monkeypatch, rerankers=[rerank_server.reranker(price=Decimal(5))])
    quote, spent = await quoted_and_reserved(["Green tea?", "Black tea?"], ["assistant"], teas, database_url)
    assert 0 < spent["cost"] <= spent["reserved"] <= quote.worst_dollars
    assert 0 < quote.dollars <= quote.worst_dollars
    assert "unknown" not in quote.sentence


async def test_a_quote_covers_an_evaluation_with_its_rankings_and_the_judge(priced: UUID, database_url: str) -> None:
    trial = Trial(await stored(CASES, priced), limits=Limits(dollars=Decimal(1_000)))
    quote = await quote_evaluations([trial], priced)
    await evaluated(trial.suite_id, priced, limits=trial.limits)
    spent = taken(database_url)
    assert {*spent["roles"]} >= {"fast", "rerank", "careful", "judge"}
    assert quote.items == len(CASES)
    assert quote.dollars
    assert quote.worst_dollars
    assert quote.dollars < quote.worst_dollars
    assert spent["charged"] <= spent["reserved"] <= quote.worst_dollars


async def test_a_limit_of_a_suite_bounds_its_quote(priced: UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOWAI_BATCH_AT_ONCE", "1")
    settings.cache_clear()
    suite_id = await stored(CASES, priced)
    whole, within, other = [
        (await quote_evaluations([Trial(suite_id, limits=Limits(dollars=each))], priced)).worst_dollars
        for each in (None, Decimal("0.01"), Decimal("0.02"))
    ]
    assert whole
    assert within
    assert within < whole
    assert other == within + Decimal("0.01")


async def test_what_is_expected_of_an_evaluation_stays_within_its_limit_too(priced: UUID) -> None:
    suite_id, limit = await stored(CASES, priced), Decimal("0.0001")
    whole, within = [
        await quote_evaluations([Trial(suite_id, limits=Limits(dollars=dollars))], priced) for dollars in (None, limit)
    ]
    assert whole.dollars
    assert within.dollars == limit < whole.dollars
    assert within.worst_dollars
    assert within.dollars < within.worst_dollars


async def test_a_quote_covers_a_promotion_which_is_two_evaluations(priced: UUID, database_url: str) -> None:
    suite_id = await stored(CASES, priced, limits={"dollars": 1_000})
    version_id = await receive_version("retrieval", {"passages": 2}, priced)
    quote = await quote_promotion(version_id, suite_id, priced)
    with traced():
        await run_promotion.fn(await receive_promotion(version_id, suite_id, priced), priced)
    spent = taken(database_url)
    assert quote.items == 2 * len(CASES)
    assert spent["reserved"] <= quote.worst_dollars


async def test_a_quote_covers_what_a_search_for_a_prompt_costs_and_its_gate(priced: UUID, database_url: str) -> None:
    suite_id = await stored([case | {"persona": None} for case in CASES], priced)
    wish = Wish("assistant", suite_id, "bootstrap", Limits(dollars=Decimal("0.2"), minutes=5))
    quote = await quote_optimisation(wish, priced)
    with traced():
        await run_optimisation.fn(await receive_optimisation(wish, priced), priced)
    assert (quote.basis, quote.dollars, quote.minutes) == ("limits", None, 125)
    assert 0 < taken(database_url)["charged"] <= quote.worst_dollars


@pytest.mark.parametrize("plan", [{"steps": STEPS}, "auto"])
async def test_a_quote_covers_a_team_with_its_planner_and_every_use_of_its_tools(
    priced: UUID, database_url: str, plan: Any
) -> None:
    limits = TeamLimits(dollars=None, iterations=5)
    asked = plan if plan == "auto" else plan | {"limits": limits.model_dump()}
    quote = await quote_team(Assignment("How long is tea steeped?", asked, limits), priced)
    team = await run(asked, priced, "How long is tea steeped?", limits=limits)
    spent = taken(database_url)
    assert sum(step.iterations for step in team.steps) == 5
    assert {*spent["roles"]} >= {"fast", "rerank", "careful"}
    assert spent["reserved"] <= quote.worst_dollars
    bounded = limits.model_copy(update={"dollars": Decimal("0.01")})
    asked = plan if plan == "auto" else plan | {"limits": bounded.model_dump()}
    within = (await quote_team(Assignment("Tea?", asked, bounded), priced)).worst_dollars
    assert within
    assert quote.worst_dollars
    assert within < quote.worst_dollars


@pytest.mark.parametrize("speaks", [True, False])
async def test_quotes_cover_an_embedder_that_is_paid(
    bought: UUID, database_url: str, speaks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not speaks:
        configure(monkeypatch)
    several = "Green tea? And how long is black tea steeped, and how many islands are there?"
    set_id = await receive_question_set("a set", read_rows([several, LONG]).questions, bought)
    batch = Order(set_id, ["auto", "assistant"])
    suite_id = await stored(CASES, bought)
    limits = TeamLimits(dollars=Decimal("0.01"), iterations=5)
    plan = {"steps": STEPS, "limits": limits.model_dump()}
    team = Assignment("How long is tea steeped?", plan, limits)
    quotes = [await quote_batch(batch, bought), await quote_evaluations([Trial(suite_id)], bought)]
    quotes.append(await quote_team(team, bought))

    async def run_all() -> AsyncIterator[tuple[Decimal, Decimal]]:
        batch_id = await receive_batch(batch, bought)
        with traced():
            yield await spent_by(run_batch.fn(batch_id, bought), database_url)
        yield await spent_by(evaluated(suite_id, bought), database_url)
        yield await spent_by(run(plan, bought, team.question, limits=limits), database_url)

    taken = [each async for each in run_all()]
    assert all(embedded > 0 for _, embedded in taken)
    assert all(spent <= quote.worst_dollars for quote, (spent, _) in zip(quotes, taken, strict=True))


async def test_a_quote_covers_models_that_are_paid_and_never_heard_of(
    priced: UUID, database_url: str, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as silent:
        silent.default = Act(cut=True)
        targets = [silent.target("silent", price="30"), model_server.target("careful", price="30")]
        configure(monkeypatch, targets=targets)
        model_server.default = Act(content=EVERYTHING, usage=None)
        quote, spent = await quoted_and_reserved(["Green tea?"], ["assistant"], priced, database_url)
    (lost,) = rows(database_url, "select sum(charged) as charged from model_call where cause = 'no_reply'")
    assert 0 < lost["charged"] < spent["charged"] <= quote.worst_dollars


async def test_an_unknown_price_makes_every_quote_unknown_and_is_said(
    teas: UUID, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, targets=[model_server.target(price=None, allow_unknown_price=True)])
    suite_id = await stored([case | {"persona": None} for case in CASES], teas)
    version_id = await receive_version("retrieval", {"passages": 2}, teas)
    quotes = [
        await quote_evaluations([Trial(suite_id)], teas),
        await quote_promotion(version_id, suite_id, teas),
        await quote_optimisation(Wish("assistant", suite_id, "bootstrap", Limits(dollars=Decimal(1))), teas),
        await quote_team(Assignment("Tea?", {"steps": STEPS}), teas),
    ]
    assert [quote.worst_dollars for quote in quotes] == [None] * 4
    assert all("unknown price" in quote.sentence for quote in quotes)


async def test_a_dry_run_in_prefect_says_what_it_would_take_and_leaves_nothing(
    teas: UUID, database_url: str, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, targets=[model_server.target(price="1")])
    version_id = await receive_version("retrieval", {"passages": 2}, teas)
    (owner,) = rows(database_url, f"select name from tenant where id = '{teas}'")
    ends = [
        await evaluate.fn("handbook", tenant=owner["name"], dry_run=True),
        await promote.fn(version_id, "handbook", owner["name"], dry_run=True),
        await optimise.fn("assistant", "handbook", tenant=owner["name"], dry_run=True),
        await run_team.fn("Tea?", tenant=owner["name"], dry_run=True),
    ]
    assert [end.name for end in ends] == ["Quoted"] * 4
    assert all("at worst $" in end.message for end in ends)
    tables = ("suite", "question_set", "evaluation", "promotion", "optimisation", "team", "model_call")
    assert [rows(database_url, f"select id from {table}") for table in tables] == [[]] * len(tables)


async def test_what_a_learned_prompt_may_cost_is_bounded_by_its_length_and_not_by_the_limit_of_a_request(
    priced: UUID, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite_id = await stored([case | {"persona": None} for case in CASES], priced, limits={"dollars": 1_000})
    wish = Wish("assistant", suite_id, "bootstrap", Limits(dollars=Decimal("0.2"), minutes=5))
    configure(monkeypatch, targets=[model_server.target(price="30", max_output_tokens=100)])
    quote = await quote_optimisation(wish, priced)
    held_out = (quote.items - sum(half_of(case["id"]) == "train" for case in CASES)) // 2
    searched = wish.limits.dollars + settings().batch_at_once * 50
    assert held_out > 0
    assert searched < quote.worst_dollars < searched + held_out * 10
