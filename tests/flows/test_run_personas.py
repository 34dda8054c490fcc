"""Every item of a batch ends somewhere, is paid once and shares the workers with other tenants."""

import asyncio
import csv
import io
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from blocks.connections import bucket
from blocks.database import Database
from flows.answer import answer_query
from flows.run_personas import run_batch
from kowai.errors import InvalidInput, NotFound
from kowai.question_sets import read_rows
from kowai.quotes import Quote
from kowai.settings import settings
from kowai.types import Preferences
from tasks import batches
from tasks.allowances import TenantLimits, set_limits
from tasks.api_keys import NewKey, make_key, revoke_key
from tasks.approvals import offered, read_terms
from tasks.batches import Order, TooManyItems, count_items, receive_batch
from tasks.costs import read_costs
from tasks.preferences import save_preferences
from tasks.question_sets import find_question_set, receive_question_set
from tasks.quote import quote_batch
from tasks.receive import Inquiry, UnknownPersona, receive_query
from tasks.step import traced
from tasks.turns import claim_item, close_item
from tasks.versions import receive_version
from tests.flows.conftest import learn_tea, rows
from tests.model_server import Act, ModelServer

FOUND = "[[ ## found ## ]]\nTrue\n\n[[ ## answer ## ]]\n{}\n\n[[ ## completed ## ]]"
GOOD = FOUND.format("Green tea is steeped for three minutes at 80 degrees [1].")
PRICE = "1000"


@pytest.fixture
async def tea(store: Database, tenant: UUID, tmp_path: Path) -> UUID:
    await learn_tea(tenant, tmp_path / "documents")
    return tenant


async def batch_of(
    questions: list[Any], personas: list[str], tenant: UUID, *, above: Decimal | None = None, **order: Any
) -> UUID:
    set_id = await receive_question_set("a set", read_rows(questions).questions, tenant)
    wanted = Order(set_id, personas, **order)
    quote = (await quote_batch(wanted, tenant)).above(above)
    return await receive_batch(wanted, tenant, along=offered("run-personas", quote, dry_run=wanted.dry_run))


async def quoted(batch_id: UUID, tenant: UUID) -> Quote:
    terms = await read_terms(batch_id, tenant)
    assert terms
    return terms.quote


async def carry_out(batch_id: UUID, tenant: UUID) -> None:
    with traced():
        await run_batch.fn(batch_id, tenant)


async def counted(store: Database, batch_id: UUID, tenant: UUID) -> Any:
    async with store.transaction(tenant) as connection:
        counts = await count_items(connection, batch_id)
    assert counts.accepted == counts.done + counts.refused + counts.dead + counts.in_progress
    return counts


async def results(url: str, batch_id: UUID) -> tuple[list[dict[str, str]], list[dict[str, Any]]]:
    (batch,) = rows(url, f"select * from batch where id = '{batch_id}'")
    files = {name: (await bucket().read_path(path)).decode("utf-8-sig") for name, path in batch["results"].items()}
    return list(csv.DictReader(io.StringIO(files["csv"]))), [json.loads(line) for line in files["jsonl"].splitlines()]


async def test_personas_are_compared_side_by_side(tea: UUID, store: Database, database_url: str) -> None:
    questions = [{"id": "g", "question": "How long is green tea steeped?"}, {"id": "x", "question": "Who is the king?"}]
    batch_id = await batch_of(questions, ["assistant", "analyst"], tea)
    await carry_out(batch_id, tea)
    assert await counted(store, batch_id, tea) == (4, 4, 0, 0, 0)
    table, lines = await results(database_url, batch_id)
    assert [row["id"] for row in table] == ["g", "x"]
    assert "three minutes" in table[0]["assistant answer"]
    assert (table[0]["analyst state"], table[0]["analyst cost"]) == ("done", "0")
    assert 0 < float(table[0]["analyst confidence"]) <= 1
    assert table[1]["assistant state"] == "abstained"
    said = lines[0]["personas"]["assistant"]
    assert said["citations"][0]["quote"] in said["answer"]
    asked = rows(database_url, "select * from query")
    assert {str(query["id"]) for query in asked} >= {said["query_id"]}
    assert {query["status"] for query in asked} == {"done"}


async def test_no_cell_of_the_table_is_a_formula(tea: UUID, database_url: str) -> None:
    batch_id = await batch_of([{"id": "=1+1", "question": '=HYPERLINK("http://x","tea")'}], ["assistant"], tea)
    await carry_out(batch_id, tea)
    ((row,), (line,)) = await results(database_url, batch_id)
    assert (row["id"], row["question"]) == ("'=1+1", '\'=HYPERLINK("http://x","tea")')
    assert line["id"] == "=1+1"


async def test_a_bad_item_dies_with_its_cause_and_the_others_go_on(
    tea: UUID, store: Database, database_url: str, use: Callable[..., None], model_server: ModelServer
) -> None:
    use(model_server.target())
    model_server.default = Act(content=GOOD)
    model_server.script = [Act(status=400, message="this one is broken")]
    batch_id = await batch_of([f"How long is green tea number {n} steeped?" for n in range(4)], ["assistant"], tea)
    await carry_out(batch_id, tea)
    assert await counted(store, batch_id, tea) == (4, 3, 0, 1, 0)
    table, _ = await results(database_url, batch_id)
    assert sorted(row["assistant state"] for row in table) == ["dead: model_refused", "done", "done", "done"]


async def test_a_batch_ends_refused_and_pays_nothing_when_its_key_is_revoked(
    tea: UUID, store: Database, database_url: str, use: Callable[..., None], model_server: ModelServer
) -> None:
    use(model_server.target())
    model_server.default = Act(content=GOOD)
    view, _ = await make_key(NewKey("asks", "analyst", None, None, None), tea)
    questions = [f"How long is tea number {n} steeped?" for n in range(5)]
    batch_id = await batch_of(questions, ["assistant"], tea, asked_by=view.id)
    first = await claim_item(batch_id, tea)
    assert first
    with traced():
        await answer_query.fn(first, tea)
    await close_item(first, tea)
    await revoke_key(view.id, tea)
    await carry_out(batch_id, tea)
    assert await counted(store, batch_id, tea) == (5, 1, 4, 0, 0)
    assert {row["cause"] for row in rows(database_url, "select cause from batch_item")} == {None, "access_ended"}
    assert len(model_server.asked) == 1


async def test_carrying_out_again_changes_nothing_and_costs_nothing(
    tea: UUID, store: Database, use: Callable[..., None], model_server: ModelServer
) -> None:
    use(model_server.target())
    model_server.default = Act(content=GOOD)
    batch_id = await batch_of(["How long is green tea steeped?"], ["assistant", "technical"], tea)
    await carry_out(batch_id, tea)
    await carry_out(batch_id, tea)
    assert await counted(store, batch_id, tea) == (2, 2, 0, 0, 0)
    assert len(model_server.asked) == 2


@pytest.mark.slow
async def test_200_items_never_exceed_a_budget_for_50(
    tea: UUID, store: Database, database_url: str, use: Callable[..., None], model_server: ModelServer
) -> None:
    limit = await budget_for(50, tea, use, model_server, database_url)
    batch_id = await batch_of([f"How long is green tea steeped in cup {n:03}?" for n in range(200)], ["assistant"], tea)
    highest = await watched(database_url, carry_out(batch_id, tea))
    counts = await counted(store, batch_id, tea)
    day = await read_costs(tea)
    assert highest <= limit
    assert day.spent <= limit
    assert day.reserved == 0
    assert (counts.accepted, counts.done + counts.refused) == (200, 200)
    assert counts.done == len(model_server.asked) <= 50
    assert {item["cause"] for item in rows(database_url, "select cause from batch_item where state = 'refused'")} == {
        "budget_exhausted"
    }


@pytest.mark.slow
async def test_200_askers_of_chat_and_batch_at_once_never_exceed_a_budget_for_50(
    tea: UUID, store: Database, database_url: str, use: Callable[..., None], model_server: ModelServer
) -> None:
    limit = await budget_for(50, tea, use, model_server, database_url)
    questions = [f"How long is green tea steeped in cup {n:03}?" for n in range(100)]
    batch_id = await batch_of(questions, ["assistant"], tea)
    asked = [await receive_query(Inquiry(f"How long is green tea steeped in mug {n:03}?"), tea) for n in range(100)]

    async def answer(query_id: UUID) -> None:
        with traced():
            await answer_query.fn(query_id, tea)

    highest = await watched(database_url, asyncio.gather(carry_out(batch_id, tea), *map(answer, asked)))
    day = await read_costs(tea)
    assert highest <= limit
    assert day.spent <= limit
    assert day.reserved == 0
    ended = rows(database_url, "select status, refusal, count(*) as queries from query group by 1, 2")
    assert {(row["status"], row["refusal"]) for row in ended} == {("done", None), ("refused", "budget_exhausted")}
    assert sum(row["queries"] for row in ended) == 201
    assert len(model_server.asked) <= 50


async def budget_for(
    calls: int, tenant: UUID, use: Callable[..., None], model_server: ModelServer, url: str
) -> Decimal:
    """Limit the day to `calls` worst cases of such a question, each of which uses all it may."""
    target = model_server.target(price=PRICE, max_output_tokens=50)
    use(target)
    model_server.default = Act(content=GOOD)
    await carry_out(await batch_of(["How long is green tea steeped in cup xxx?"], ["assistant"], tenant), tenant)
    (call,) = rows(url, "select reserved, charged from model_call")
    limit = calls * call["reserved"] + call["charged"]
    used = {"prompt_tokens": int(call["reserved"] * 1000) - 50, "completion_tokens": 50}
    model_server.default = Act(content=GOOD, usage=used, delay=0.02)
    use(target, daily_limit=str(limit))
    model_server.asked.clear()
    return limit


async def watched(url: str, work: Any) -> Decimal:
    """Return the most that was reserved and spent at any moment of the work."""
    highest = Decimal(0)

    async def watch() -> None:
        nonlocal highest
        while True:
            (day,) = await asyncio.to_thread(rows, url, "select reserved + spent as total from spend")
            highest = max(highest, day["total"])
            await asyncio.sleep(0.1)

    watching = asyncio.create_task(watch())
    await work
    watching.cancel()
    return highest


async def test_a_quote_is_never_below_what_was_reserved(
    tea: UUID, database_url: str, use: Callable[..., None], model_server: ModelServer
) -> None:
    use(model_server.target(price="10", max_output_tokens=50))
    model_server.default = Act(content=GOOD)
    batch_id = await batch_of(["How long is green tea steeped?", "And black tea?"], ["assistant", "analyst"], tea)
    quote = await quoted(batch_id, tea)
    assert (quote.items, quote.model, quote.basis) == (4, "local", "assumption")
    assert quote.dollars is not None
    assert quote.worst_dollars is not None
    assert quote.dollars <= quote.worst_dollars
    assert model_server.asked == []
    await carry_out(batch_id, tea)
    (call,) = rows(database_url, "select sum(reserved) as reserved, count(*) as calls from model_call")
    assert (call["calls"], call["reserved"] <= quote.worst_dollars) == (4, True)
    assert quote.worst_dollars < 2 * call["reserved"]


async def test_auto_gives_each_question_to_whom_it_is_for_and_the_table_says_to_whom(
    tea: UUID, store: Database, database_url: str
) -> None:
    questions = ["Write a Python function that steeps green tea.", "Write a poem about green tea."]
    batch_id = await batch_of(questions, ["auto", "assistant"], tea)
    await carry_out(batch_id, tea)
    assert await counted(store, batch_id, tea) == (4, 4, 0, 0, 0)
    table, lines = await results(database_url, batch_id)
    assert [row["auto answered by"] for row in table] == ["developer", "creative"]
    assert [row["assistant answered by"] for row in table] == ["assistant", "assistant"]
    assert lines[0]["personas"]["auto"]["answered_by"] == "developer"


async def test_a_quote_for_auto_covers_the_choice_and_whoever_is_chosen(
    tea: UUID, database_url: str, use: Callable[..., None], model_server: ModelServer
) -> None:
    fast = model_server.target("fast", price="10", max_output_tokens=50, roles=("fast",))
    code = model_server.target("code", price="1000", max_output_tokens=50, roles=("code",))
    use(fast, model_server.target(price="10", max_output_tokens=50, roles=("careful",)), code)
    chosen = "[[ ## persona ## ]]\ndeveloper\n\n[[ ## confidence ## ]]\n0.9\n\n[[ ## completed ## ]]"
    model_server.default = Act(content=f"{GOOD.removesuffix('[[ ## completed ## ]]')}{chosen}")
    batch_id = await batch_of(["Green tea?"], ["auto"], tea)
    quote = await quoted(batch_id, tea)
    await carry_out(batch_id, tea)
    (spent,) = rows(database_url, "select sum(reserved) as reserved, count(*) as calls from model_call")
    assert (spent["calls"], rows(database_url, "select routed_by from query")) == (2, [{"routed_by": "model"}])
    assert quote.worst_dollars is not None
    assert quote.worst_dollars >= spent["reserved"]


async def test_a_quote_counts_the_prompt_as_it_will_be_sent(
    tea: UUID, database_url: str, use: Callable[..., None], model_server: ModelServer
) -> None:
    use(model_server.target(price="10", max_output_tokens=50))
    model_server.default = Act(content=GOOD)
    setting = {"instructions": "Answer in rhyme. " * 100, "demos": [{"question": "Why?", "answer": "So. " * 500}]}
    version_id = await receive_version("prompt:assistant", setting, tea)
    with psycopg.connect(database_url) as owner:
        owner.execute("insert into live_setting values (%s, 'prompt:assistant', %s)", (tea, version_id))
    caller = uuid4()
    await save_preferences(Preferences(tone="formal", language="de-AT", length="long"), tea, caller)
    batch_id = await batch_of(["How long is green tea steeped?"], ["assistant"], tea, asked_by=caller)
    quote = await quoted(batch_id, tea)
    await carry_out(batch_id, tea)
    (call,) = rows(database_url, "select sum(reserved) as reserved from model_call")
    assert quote.worst_dollars is not None
    assert call["reserved"] <= quote.worst_dollars < Decimal("1.5") * call["reserved"]
    sent = sum(len(message["content"]) for message in model_server.asked[0]["messages"])
    assert quote.prompt_tokens > sent / 6


async def test_an_unknown_price_is_quoted_as_unknown_and_needs_approval(
    tea: UUID, store: Database, database_url: str, use: Callable[..., None], model_server: ModelServer
) -> None:
    use(model_server.target(price=None, allow_unknown_price=True))
    batch_id = await batch_of(["How long is green tea steeped?"], ["assistant"], tea, above=Decimal(1000))
    quote = await quoted(batch_id, tea)
    assert (quote.dollars, quote.worst_dollars, quote.needs_approval) == (None, None, True)
    assert "unknown" in quote.sentence
    await carry_out(batch_id, tea)
    assert rows(database_url, "select state from approval") == [{"state": "waiting"}]
    assert (await counted(store, batch_id, tea)).in_progress == 1
    assert model_server.asked == []


@pytest.mark.parametrize(("asked", "holds"), [(None, "0.02"), ("1000", "0.02"), ("0.01", "0.01")])
async def test_the_threshold_of_a_tenant_holds_unless_a_lower_one_is_asked_for(
    tea: UUID, use: Callable[..., None], model_server: ModelServer, asked: str | None, holds: str
) -> None:
    use(model_server.target(price=PRICE), request_limit="5")
    await set_limits(TenantLimits(approve_above=Decimal("0.02")), tea, tea)
    batch_id = await batch_of(["How long?"], ["assistant"], tea, above=Decimal(asked) if asked else None)
    quote = await quoted(batch_id, tea)
    assert (quote.approve_above, quote.needs_approval) == (Decimal(holds), True)
    await carry_out(batch_id, tea)
    assert model_server.asked == []


async def test_a_dry_run_has_a_quote_and_no_items(tea: UUID, store: Database, database_url: str) -> None:
    batch_id = await batch_of(["How long is green tea steeped?"] * 1, ["assistant"], tea, dry_run=True)
    await carry_out(batch_id, tea)
    assert rows(database_url, "select status from batch") == [{"status": "quoted"}]
    quote = await quoted(batch_id, tea)
    assert (quote.items, quote.dollars) == (1, 0)
    assert await counted(store, batch_id, tea) == (0, 0, 0, 0, 0)


async def test_what_cannot_be_a_batch_is_refused_before_anything_is_stored(
    store: Database, tenant: UUID, other_tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_id = await receive_question_set("mine", read_rows(["Why?"]).questions, tenant)
    with pytest.raises(UnknownPersona, match="choose of"):
        await receive_batch(Order(set_id, ["nobody"]), tenant)
    with pytest.raises(InvalidInput, match="at least one"):
        await receive_batch(Order(set_id, []), tenant)
    with pytest.raises(NotFound):
        await receive_batch(Order(uuid4(), ["assistant"]), tenant)
    with pytest.raises(NotFound):
        await receive_batch(Order(set_id, ["assistant"]), other_tenant)
    monkeypatch.setattr(batches, "MOST_ITEMS", 5)
    set_id = await receive_question_set("many", read_rows(["Why?", "When?"]).questions, tenant)
    with pytest.raises(TooManyItems):
        await receive_batch(Order(set_id, ["assistant", "analyst", "technical"]), tenant)
    assert await find_question_set("many", tenant) == set_id


async def test_two_tenants_share_the_workers_evenly_however_many_batches_each_has(
    store: Database, tenant: UUID, other_tenant: UUID, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KOWAI_BATCH_AT_ONCE", "4")
    settings.cache_clear()
    greedy = [await batch_of([f"Why {n}?" for n in range(9)], ["assistant"], tenant) for _ in range(2)]
    modest = await batch_of(["Why?", "When?", "Who?"], ["assistant"], other_tenant)
    first, second, third, fourth = [await claim_item(batch_id, tenant) for batch_id in 2 * greedy]
    waiting = [asyncio.create_task(claim_item(modest, other_tenant)) for _ in range(2)]
    while not rows(database_url, "select * from batch_turn where waiting"):
        await asyncio.sleep(0.01)
    more = asyncio.create_task(claim_item(greedy[0], tenant))
    await close_item(first, tenant)
    await close_item(second, tenant)
    assert all(await asyncio.gather(*waiting))
    assert not more.done()  # two of the four are its share now
    await close_item(third, tenant)
    assert await more
    held = rows(database_url, "select party, count(*) from batch_turn where not waiting group by party")
    assert {row["party"]: row["count"] for row in held} == {tenant: 2, other_tenant: 2}
    assert fourth


async def test_an_item_that_keeps_killing_its_process_is_dead_in_the_end(
    store: Database, tenant: UUID, database_url: str
) -> None:
    batch_id = await batch_of(["Why?"], ["assistant"], tenant)
    for _ in range(5):
        assert await claim_item(batch_id, tenant)
        with psycopg.connect(database_url) as connection:
            connection.execute("delete from batch_turn")  # as when its lease has run out
    assert await claim_item(batch_id, tenant) is None
    assert await counted(store, batch_id, tenant) == (1, 0, 0, 1, 0)
