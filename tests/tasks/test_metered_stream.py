"""A stream is metered as a call is, and costs nothing more once its reader has left."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import dspy
import pytest

from kowai.errors import BudgetExhausted, ModelFailed
from kowai.types import Reply
from tasks import metered
from tests.model_server import Act, ModelServer, silence

Use = Callable[..., Any]
Read = Callable[[], Any]
STORY = "[[ ## answer ## ]]\n" + " ".join(f"word{n}" for n in range(60)) + "\n\n[[ ## completed ## ]]"


class Story(dspy.Signature):
    """Tell a story."""

    topic: str = dspy.InputField()
    answer: str = dspy.OutputField()


async def told(tenant: UUID, topic: str = "sea") -> tuple[list[str], Reply]:
    pieces = list[str]()
    reply = await metered.ask(Story, {"topic": topic}, tenant, hear=pieces.append)
    return pieces, reply


async def test_text_comes_in_pieces_and_the_reply_last(
    books: str, tenant: UUID, use: Use, model_server: ModelServer, day: Read
) -> None:
    use(model_server.target(price="1000", max_output_tokens=50), request_limit="5")
    model_server.default = Act(content=STORY)
    pieces, reply = await told(tenant)
    assert "".join(pieces) == STORY
    assert reply.fields["answer"] == STORY.split("\n")[1]
    assert len(pieces) > 5
    assert (reply.model, reply.cost, day()["spent"]) == ("local", Decimal("0.11"), Decimal("0.11"))


async def test_a_stream_told_before_is_told_again_for_nothing(
    books: str, tenant: UUID, use: Use, model_server: ModelServer, day: Read
) -> None:
    use(model_server.target(price="1000", max_output_tokens=50), request_limit="5")
    model_server.default = Act(content=STORY)
    first = await told(tenant)
    again = await told(tenant)
    assert again[1] == first[1]
    assert "".join(again[0]) == STORY
    assert len(model_server.asked) == 1
    assert (day()["spent"], day()["replays"]) == (Decimal("0.11"), 1)


async def test_a_reader_who_leaves_stops_the_spending(
    books: str, tenant: UUID, use: Use, model_server: ModelServer, day: Read, calls: Read
) -> None:
    use(model_server.target(price="1000", max_output_tokens=100), request_limit="5")
    model_server.default = Act(content=STORY, drip=0.05)
    spoken = asyncio.Event()
    asking = asyncio.create_task(metered.ask(Story, {"topic": "sea"}, tenant, hear=lambda _: spoken.set()))
    await spoken.wait()
    asking.cancel()
    assert await silence(model_server) < 60
    while calls()[0]["state"] == "reserved":
        await asyncio.sleep(0.05)
    (call,) = calls()
    assert (call["state"], call["cost"]) == ("void", None)
    assert 0 < call["charged"] <= call["reserved"]
    assert (day()["reserved"], day()["spent"]) == (0, call["charged"])


async def test_a_stream_fails_over_before_its_first_word(
    books: str, tenant: UUID, use: Use, model_server: ModelServer, second_server: ModelServer
) -> None:
    use(model_server.target(), second_server.target("cloud"))
    model_server.default = Act(content=STORY, cut_after=0)
    second_server.default = Act(content=STORY)
    _, reply = await told(tenant)
    assert (reply.model, reply.fallback) == ("cloud", True)


async def test_a_stream_that_breaks_after_a_word_is_never_started_again_elsewhere(
    books: str, tenant: UUID, use: Use, model_server: ModelServer, second_server: ModelServer, calls: Read
) -> None:
    use(model_server.target(price="1000", max_output_tokens=50), second_server.target("cloud"), request_limit="5")
    model_server.default = Act(content=STORY, cut_after=20)
    with pytest.raises(ModelFailed):
        await told(tenant)
    assert second_server.asked == []
    assert calls()[0]["charged"] > 0


async def test_a_stream_over_budget_is_refused_before_it_starts(
    books: str, tenant: UUID, use: Use, model_server: ModelServer
) -> None:
    use(model_server.target(price="1000", max_output_tokens=5000))
    with pytest.raises(BudgetExhausted):
        await told(tenant)
    assert model_server.asked == []


async def test_200_streams_never_exceed_a_budget_for_50(
    books: str, tenant: UUID, use: Use, model_server: ModelServer, day: Read, calls: Read
) -> None:
    use(model_server.target(price="1000", max_output_tokens=50), request_limit="5")
    await told(tenant, "xxx")
    worst = calls()[0]["reserved"]
    limit = 50 * worst + day()["spent"]
    model_server.asked.clear()
    model_server.default = Act(usage={"prompt_tokens": int(worst * 1000) - 50, "completion_tokens": 50})
    use(model_server.target(price="1000", max_output_tokens=50), request_limit="5", daily_limit=str(limit))

    async def attempt(number: int) -> bool:
        try:
            return bool(await told(tenant, f"{number:03}"))
        except BudgetExhausted:
            return False

    answered = await asyncio.gather(*(attempt(number) for number in range(200)))
    assert sum(answered) == len(model_server.asked) == 50
    assert day()["spent"] <= limit
