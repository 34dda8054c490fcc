"""A model words follow-ups and sums conversations up: stored, paid once, and done without when it fails."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from blocks.database import Database
from deployments.shim.answers import Answer, read_answer
from flows.answer import answer_query
from kowai.errors import KowaiError
from tasks.conversations import begin_conversation, read_conversation
from tasks.receive import Inquiry, receive_query
from tasks.step import traced
from tests.flows.conftest import learn_tea, rows
from tests.model_server import Act, ModelServer

CALLER = uuid4()
FIRST, FOLLOW_UP, REWORDED = "How long is green tea steeped?", "And the other one?", "How long does black tea take?"
SUMMARY = "Asked about green tea; told three minutes."
FIELDS = {"found": "True", "answer": "Black tea takes five minutes [1].", "question": REWORDED, "shorter": SUMMARY}
SAID = "\n\n".join(f"[[ ## {name} ## ]]\n{said}" for name, said in FIELDS.items()) + "\n\n[[ ## completed ## ]]"
LONG = "How long is green tea steeped? " * 80
DEAR = {"price": "10", "max_output_tokens": 200}


@pytest.fixture
async def conversation(
    store: Database, tenant: UUID, tmp_path: Path, use: Callable[..., None], model_server: ModelServer
) -> UUID:
    await learn_tea(tenant, tmp_path / "documents")
    use(model_server.target(**DEAR))
    model_server.default = Act(content=SAID)
    return await begin_conversation(tenant, CALLER)


async def said(question: str, tenant: UUID, conversation: UUID) -> Answer:
    query_id = await receive_query(Inquiry(question, asked_by=CALLER, conversation_id=conversation), tenant)
    with traced():
        await answer_query.fn(query_id, tenant)
    return await read_answer(query_id, tenant)


def prompts(server: ModelServer, field: str) -> list[str]:
    """Return the prompts that ask for this output field, oldest first."""
    texts = [json.dumps(asked["messages"], ensure_ascii=False) for asked in server.asked]
    return [text for text in texts if f"`[[ ## {field} ## ]]`" in text]


def failing(server: ModelServer, field: str, act: Act) -> None:
    """Let the server fail whoever asks for this field, and nobody else."""

    def look() -> None:
        server.script = [act] if prompts(server, field)[-1:] == [json.dumps(server.asked[-1]["messages"])] else []

    server.on_request = look


def assert_the_books_are_balanced(url: str) -> list[dict[str, Any]]:
    """Every call's charge is in the day's sum, and nothing is left reserved."""
    calls = rows(url, "select * from model_call order by created_at")
    (day,) = rows(url, "select * from spend")
    assert (day["reserved"], day["spent"]) == (0, sum((call["charged"] or Decimal(0) for call in calls), Decimal(0)))
    assert day["reservations"] == day["settlements"] + day["releases"] == len(calls)
    return calls


async def test_a_follow_up_is_worded_by_the_model_and_both_forms_are_kept(
    conversation: UUID, tenant: UUID, model_server: ModelServer, database_url: str
) -> None:
    first = await said(FIRST, tenant, conversation)
    assert (first.standalone, prompts(model_server, "question")) == (FIRST, [])
    answer = await said(FOLLOW_UP, tenant, conversation)
    assert (answer.question, answer.standalone, answer.status) == (FOLLOW_UP, REWORDED, "done")
    (asked,) = prompts(model_server, "question")
    assert FIRST in asked
    assert FOLLOW_UP in asked
    calls = assert_the_books_are_balanced(database_url)
    assert [(call["query_id"], call["role"]) for call in calls[-2:]] == [
        (answer.query_id, "fast"),
        (answer.query_id, "careful"),
    ]
    assert all(call["state"] == "settled" and call["cost"] == call["charged"] > 0 for call in calls)


@pytest.mark.parametrize(
    ("act", "state"), [(Act(status=400), "released"), (Act(content=""), "void"), (Act(content="Hm."), "void")]
)
async def test_without_a_usable_wording_the_turns_before_are_carried(
    conversation: UUID, tenant: UUID, model_server: ModelServer, database_url: str, act: Act, state: str
) -> None:
    await said(FIRST, tenant, conversation)
    failing(model_server, "question", act)
    answer = await said(FOLLOW_UP, tenant, conversation)
    assert (answer.standalone, answer.status) == (f"{FIRST}\n{FOLLOW_UP}", "done")
    calls = assert_the_books_are_balanced(database_url)
    assert [(call["role"], call["state"]) for call in calls[-2:]] == [("fast", state), ("careful", "settled")]


async def test_a_conversation_is_summed_up_by_the_model_once_and_goes_on_from_there(
    conversation: UUID, tenant: UUID, model_server: ModelServer, database_url: str
) -> None:
    for number in range(4):
        last = await said(f"Question {number}. {LONG}", tenant, conversation)
    assert (await read_conversation(conversation, tenant, CALLER))["summary"] == SUMMARY
    (asked,) = prompts(model_server, "shorter")
    assert "Question 0." in asked
    (stored,) = rows(database_url, f"select history from query where id = '{last.query_id}'")
    assert stored["history"][0] == {"role": "summary", "text": SUMMARY}
    assert SUMMARY in prompts(model_server, "answer")[-1]
    assert "Question 0." not in prompts(model_server, "answer")[-1]
    calls = assert_the_books_are_balanced(database_url)
    assert [call["role"] for call in calls if call["query_id"] == last.query_id] == ["fast", "fast", "careful"]
    await said(FOLLOW_UP, tenant, conversation)
    assert len(prompts(model_server, "shorter")) == 1


@pytest.mark.parametrize("act", [Act(status=400), Act(status=503), Act(content="Hm.")])
async def test_a_summary_that_fails_is_made_of_first_sentences(
    conversation: UUID, tenant: UUID, model_server: ModelServer, database_url: str, act: Act
) -> None:
    failing(model_server, "shorter", act)
    for number in range(4):
        last = await said(f"Question {number}. {LONG}", tenant, conversation)
    summary = (await read_conversation(conversation, tenant, CALLER))["summary"]
    assert summary.startswith("Question 0.")
    assert last.status == "done"
    assert_the_books_are_balanced(database_url)


async def test_what_may_not_be_spent_on_wordings_does_not_keep_from_answering(
    conversation: UUID, tenant: UUID, use: Callable[..., None], model_server: ModelServer, database_url: str
) -> None:
    await said(FIRST, tenant, conversation)
    dear = model_server.target("dear", price="10000", roles=("fast",))
    use(dear, model_server.target(roles=("careful",), **DEAR), request_limit="1")
    try:
        answer = await said(FOLLOW_UP, tenant, conversation)
    except KowaiError as error:
        pytest.fail(error.sentence)
    assert (answer.standalone, answer.status, answer.model) == (f"{FIRST}\n{FOLLOW_UP}", "done", "local")
    assert prompts(model_server, "question") == []
    assert_the_books_are_balanced(database_url)
