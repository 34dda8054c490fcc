"""Every model call goes through one door that cannot overspend, over real HTTP and a real database."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import dspy
import psycopg
import pytest

from kowai.errors import BudgetExhausted, ModelFailed, ModelRefused, ModelUnreadable, PriceUnknown
from kowai.standing import AccessEnded
from tasks import accounts, metered
from tasks.api_keys import NewKey, make_key, revoke_key
from tasks.receive import Inquiry, receive_query
from tests.model_server import ANSWER, Act, ModelServer

Use = Callable[..., Any]
Read = Callable[[], Any]
PRICE = "1000"  # dollars per million tokens: about 0.9 dollars reserved and exactly 0.11 spent per call below


class Capital(dspy.Signature):
    """Name the capital."""

    country: str = dspy.InputField()
    answer: str = dspy.OutputField()


async def ask(tenant: UUID, country: str = "France", **options: Any) -> Any:
    return await metered.ask(Capital, {"country": country}, tenant, **options)


async def test_a_reply_says_who_spoke_and_costs_what_was_reported(
    books: str, tenant: UUID, use: Use, model_server: ModelServer, day: Read
) -> None:
    use(model_server.target(price=PRICE, max_output_tokens=50), request_limit="5")
    reply = await ask(tenant)
    assert (reply.fields["answer"], reply.model, reply.fallback) == ("Paris, of course", "local", False)
    assert reply.cost == Decimal("0.11")
    assert (day()["reserved"], day()["spent"]) == (0, Decimal("0.11"))
    assert (day()["reservations"], day()["settlements"], day()["releases"], day()["replays"]) == (1, 1, 0, 0)
    assert model_server.asked[0]["max_tokens"] == 50


async def test_the_same_question_is_paid_once(
    books: str, tenant: UUID, other_tenant: UUID, use: Use, model_server: ModelServer, day: Read
) -> None:
    use(model_server.target(price=PRICE, max_output_tokens=50), request_limit="5")
    first = await ask(tenant)
    assert await ask(tenant) == first
    assert len(model_server.asked) == 1
    assert day()["replays"] == 1
    await ask(other_tenant)
    assert len(model_server.asked) == 2
    await ask(tenant, sample=1)
    assert len(model_server.asked) == 3


async def test_identical_questions_at_once_are_paid_once(
    books: str, tenant: UUID, use: Use, model_server: ModelServer, day: Read
) -> None:
    use(model_server.target(price=PRICE, max_output_tokens=50), request_limit="5")
    model_server.default = Act(delay=0.1)
    replies = await asyncio.gather(*(ask(tenant) for _ in range(10)))
    assert len(model_server.asked) == 1
    assert len({str(reply) for reply in replies}) == 1
    assert (day()["spent"], day()["replays"]) == (Decimal("0.11"), 9)


async def test_200_callers_never_exceed_a_budget_for_50(
    books: str, tenant: UUID, use: Use, model_server: ModelServer, day: Read, calls: Read
) -> None:
    use(model_server.target(price=PRICE, max_output_tokens=50), request_limit="5")
    await ask(tenant, "country xxx")
    worst = calls()[0]["reserved"]
    limit = 50 * worst + day()["spent"]
    every_token_used = {"prompt_tokens": int(worst * 1000) - 50, "completion_tokens": 50}
    model_server.default = Act(usage=every_token_used, delay=0.02)
    use(model_server.target(price=PRICE, max_output_tokens=50), request_limit="5", daily_limit=str(limit))
    model_server.asked.clear()

    async def attempt(number: int) -> bool:
        try:
            await ask(tenant, f"country {number:03}")
        except BudgetExhausted:
            return False
        return True

    async def watch() -> None:
        while True:
            seen = await asyncio.to_thread(day)
            highest.append(seen["reserved"] + seen["spent"])
            await asyncio.sleep(0.1)

    highest: list[Decimal] = []
    watching = asyncio.create_task(watch())
    answered = await asyncio.gather(*(attempt(number) for number in range(200)))
    watching.cancel()
    assert max(highest) <= limit
    assert sum(answered) == len(model_server.asked)
    assert len(model_server.asked) == 50
    assert day()["spent"] <= limit
    assert day()["reserved"] == 0
    assert day()["reservations"] == day()["settlements"] + day()["releases"]


async def test_a_request_dearer_than_its_limit_is_refused_before_it_is_sent(
    books: str, tenant: UUID, use: Use, model_server: ModelServer, day: Read
) -> None:
    use(model_server.target(price=PRICE, max_output_tokens=5000))
    with pytest.raises(BudgetExhausted, match=r"more than the .0\.50 that one request may"):
        await ask(tenant)
    assert model_server.asked == []
    assert (day()["reserved"], day()["spent"], day()["releases"]) == (0, 0, 1)


async def test_a_tenants_own_limit_goes_before_the_blocks(
    books: str, tenant: UUID, use: Use, model_server: ModelServer
) -> None:
    with psycopg.connect(books) as connection:
        connection.execute("insert into budget (tenant_id, daily_limit) values (%s, 0.01)", (tenant,))
    use(model_server.target(price=PRICE, max_output_tokens=50), request_limit="5")
    with pytest.raises(BudgetExhausted, match=r"today's .0\.01"):
        await ask(tenant)


async def test_an_unknown_price_needs_an_allowance_and_stays_unknown(
    books: str, tenant: UUID, use: Use, model_server: ModelServer
) -> None:
    use(model_server.target(price=None))
    with pytest.raises(PriceUnknown):
        await ask(tenant)
    assert model_server.asked == []
    use(model_server.target(price=None, allow_unknown_price=True))
    assert (await ask(tenant)).cost is None


async def test_usage_nobody_reported_is_unknown_and_counts_as_the_worst_case(
    books: str, tenant: UUID, use: Use, model_server: ModelServer, calls: Read
) -> None:
    use(model_server.target(price=PRICE, max_output_tokens=50), request_limit="5")
    model_server.default = Act(usage=None)
    assert (await ask(tenant)).cost is None
    (call,) = calls()
    assert call["cost"] is None
    assert call["charged"] == call["reserved"] > 0


async def test_a_failed_call_is_released_and_another_attempt_pays_once(
    books: str, tenant: UUID, use: Use, model_server: ModelServer, day: Read
) -> None:
    use(model_server.target(price=PRICE, max_output_tokens=50), request_limit="5")
    model_server.script = [Act(status=500)]
    with pytest.raises(ModelFailed):
        await ask(tenant)
    assert (day()["reserved"], day()["spent"], day()["releases"]) == (0, 0, 1)
    assert (await ask(tenant)).cost == Decimal("0.11")


@pytest.mark.parametrize("heard", [False, True])
async def test_a_call_that_was_given_up_counts_for_nobody_knows_whether_it_is_billed(
    books: str, tenant: UUID, use: Use, model_server: ModelServer, day: Read, heard: bool
) -> None:
    use(model_server.target(price=PRICE, max_output_tokens=50, timeout_seconds=0.2), request_limit="5")
    model_server.default = Act(delay=5)
    with pytest.raises(ModelFailed):
        await ask(tenant, hear=print if heard else None)
    assert day()["reserved"] == 0
    assert day()["spent"] > Decimal("0.1")


@pytest.mark.parametrize("heard", [False, True])
async def test_a_reply_with_what_no_database_takes_is_paid_once_and_read_again(
    books: str, tenant: UUID, use: Use, model_server: ModelServer, day: Read, heard: bool
) -> None:
    use(model_server.target(price=PRICE, max_output_tokens=50), request_limit="5")
    model_server.default = Act(content=ANSWER.replace("Paris", "Par\0is"))
    pieces: list[str] = []
    first = await ask(tenant, hear=pieces.append if heard else None)
    assert first.fields["answer"] == "Par\ufffdis, of course"
    assert await ask(tenant) == first
    assert "\0" not in "".join(pieces)
    assert (len(model_server.asked), day()["reserved"], day()["spent"]) == (1, 0, Decimal("0.11"))


async def test_ones_own_bad_request_is_not_worth_a_retry(
    books: str, tenant: UUID, use: Use, model_server: ModelServer, second_server: ModelServer
) -> None:
    use(model_server.target(), second_server.target("cloud"))
    model_server.default = Act(status=400, message="temperature is out of range")
    with pytest.raises(ModelRefused):
        await ask(tenant)
    assert second_server.asked == []


async def test_a_fallback_is_said_and_its_price_reserved(
    books: str, tenant: UUID, use: Use, model_server: ModelServer, second_server: ModelServer, calls: Read
) -> None:
    use(model_server.target(), second_server.target("cloud", price=PRICE, max_output_tokens=50), request_limit="5")
    model_server.default = Act(status=503)
    reply = await ask(tenant)
    assert (reply.model, reply.fallback, reply.cost) == ("cloud", True, Decimal("0.11"))
    (call,) = calls()
    assert call["reserved"] > 0
    assert (call["target"], call["fallback"]) == ("cloud", True)


@pytest.mark.parametrize("heard", [False, True])
@pytest.mark.parametrize("act", [Act(delay=5), Act(cut=True)])
async def test_a_target_that_was_asked_and_did_not_reply_counts_beside_the_fallback(
    books: str,
    tenant: UUID,
    use: Use,
    model_server: ModelServer,
    second_server: ModelServer,
    day: Read,
    calls: Read,
    act: Act,
    heard: bool,
) -> None:
    dear = model_server.target("slow", price=PRICE, max_output_tokens=50, timeout_seconds=0.3)
    use(dear, second_server.target("cloud", price=PRICE, max_output_tokens=50), request_limit="5")
    model_server.default = act
    reply = await ask(tenant, hear=print if heard else None)
    assert (reply.model, reply.cost) == ("cloud", Decimal("0.11"))
    lost, settled = sorted(calls(), key=lambda call: call["state"], reverse=True)
    assert (lost["state"], lost["cause"], lost["model"], lost["cost"]) == ("void", "no_reply", "slow-model", None)
    assert lost["charged"] == lost["reserved"] > Decimal("0.1")
    assert (settled["state"], settled["model"], settled["charged"]) == ("settled", "cloud-model", Decimal("0.11"))
    assert (day()["spent"], day()["reserved"]) == (lost["charged"] + settled["charged"], 0)
    assert day()["reservations"] == day()["settlements"] == 2


@pytest.mark.parametrize("status", [429, 503])
async def test_a_target_that_turned_the_call_away_counts_nothing(
    books: str, tenant: UUID, use: Use, model_server: ModelServer, second_server: ModelServer, day: Read, status: int
) -> None:
    away = model_server.target("away", price=PRICE).model_copy(update={"endpoint": "http://127.0.0.1:9/v1"})
    busy = model_server.target("busy", price=PRICE, max_output_tokens=50)
    use(away, busy, second_server.target("cloud", price=PRICE, max_output_tokens=50), request_limit="5")
    model_server.default = Act(status=status)
    assert (await ask(tenant)).cost == day()["spent"] == Decimal("0.11")


async def test_a_fallback_that_does_not_fit_beside_a_lost_call_is_never_asked(
    books: str, tenant: UUID, use: Use, model_server: ModelServer, second_server: ModelServer, day: Read, calls: Read
) -> None:
    slow = model_server.target("slow", price=PRICE, max_output_tokens=50, timeout_seconds=0.2)
    cloud = second_server.target("cloud", price=PRICE, max_output_tokens=50)
    use(slow, cloud, request_limit="5", daily_limit="1")
    model_server.default = Act(delay=5)
    with pytest.raises(ModelFailed):
        await ask(tenant)
    assert second_server.asked == []
    assert Decimal("0.5") < day()["spent"] <= 1
    assert (day()["reserved"], [call["cause"] for call in calls()]) == (0, ["abandoned", "no_reply"])


async def test_a_fallback_that_does_not_fit_is_never_called(
    books: str, tenant: UUID, use: Use, model_server: ModelServer, second_server: ModelServer, day: Read
) -> None:
    use(model_server.target(), second_server.target("cloud", price=PRICE, max_output_tokens=5000))
    model_server.default = Act(status=503)
    with pytest.raises(ModelFailed):
        await ask(tenant)
    assert second_server.asked == []
    assert (day()["reserved"], day()["spent"]) == (0, 0)


async def test_an_unreadable_reply_is_paid_but_not_read_again(
    books: str, tenant: UUID, use: Use, model_server: ModelServer, day: Read, calls: Read
) -> None:
    use(model_server.target(price=PRICE, max_output_tokens=50), request_limit="5")
    model_server.script = [Act(content="no fields here")]
    with pytest.raises(ModelUnreadable):
        await ask(tenant)
    assert (await ask(tenant)).fields["answer"] == "Paris, of course"
    assert day()["spent"] == Decimal("0.22")
    assert [call["state"] for call in calls()] == ["void", "settled"]


@pytest.mark.parametrize("price", [PRICE, "0", None])
async def test_nothing_is_asked_for_whoever_may_not_ask_any_more(
    books: str, tenant: UUID, use: Use, model_server: ModelServer, price: str | None
) -> None:
    unknown = {"allow_unknown_price": True} if price is None else {}
    use(model_server.target(price=price, max_output_tokens=50, **unknown), request_limit="5")
    view, _ = await make_key(NewKey("asks", "viewer", None, None, None), tenant)
    query = await receive_query(Inquiry("What is the capital?", asked_by=view.id), tenant)
    await ask(tenant, query_id=query)
    await revoke_key(view.id, tenant)
    with pytest.raises(AccessEnded):
        await ask(tenant, "Spain", query_id=query)
    assert len(model_server.asked) == 1
    await ask(tenant, "Spain")
    assert len(model_server.asked) == 2


async def test_what_a_dead_process_reserved_is_given_back_after_its_lease(
    books: str, tenant: UUID, use: Use, model_server: ModelServer, day: Read
) -> None:
    block = use(model_server.target(price=PRICE, max_output_tokens=50), request_limit="5", daily_limit="1.5")
    purpose = accounts.Purpose(tenant, None, None, "careful")
    dead = await accounts.open_call("x" * 64, purpose)
    await accounts.reserve(dead.call_id, purpose, Decimal("1.4"), model=block, target=block.targets[0], fallback=False)
    with pytest.raises(BudgetExhausted):
        await ask(tenant)
    with psycopg.connect(books) as connection:
        connection.execute("update model_call set leased_until = now() - interval '1 s' where state = 'reserved'")
    accounts._swept.clear()
    await ask(tenant)
    assert (day()["reserved"], day()["spent"]) == (0, Decimal("0.11"))


async def test_a_cancelled_call_counts_as_the_worst_it_may_have_cost(
    books: str, tenant: UUID, use: Use, model_server: ModelServer, calls: Read
) -> None:
    use(model_server.target(price=PRICE, max_output_tokens=50), request_limit="5")
    model_server.default = Act(delay=60)
    asking = asyncio.create_task(ask(tenant))
    while not model_server.asked:
        await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    (call,) = calls()
    assert (call["state"], call["cost"]) == ("void", None)
    assert call["charged"] == call["reserved"] > 0


async def test_dspy_programs_in_worker_threads_speak_on_the_same_account(
    books: str, tenant: UUID, use: Use, model_server: ModelServer, day: Read
) -> None:
    use(model_server.target(price=PRICE, max_output_tokens=50), request_limit="5")
    async with metered.spending(tenant):
        prediction = await asyncio.to_thread(dspy.Predict(Capital), country="France")
    assert prediction.answer == "Paris, of course"
    assert day()["spent"] == Decimal("0.11")
