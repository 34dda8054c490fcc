"""The turns of a conversation are answered strictly in the order they arrived, and conversations beside each other."""

import asyncio
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from blocks.database import Database
from deployments.shim.answers import read_answer, read_answers
from flows.answer import answer_query
from flows.ingest import ingest_stored
from kowai.conversations import Exchange
from kowai.errors import NotFound
from kowai.types import Preferences
from tasks.conversations import begin_conversation, delete_conversation, read_conversation
from tasks.forget import forget
from tasks.preferences import save_preferences
from tasks.receive import Inquiry, receive_ingestion, receive_query
from tasks.step import traced

TEA = "# Tea\n\nGreen tea is steeped for three minutes at 80 degrees. Black tea takes five minutes. Mint takes seven.\n"
CALLER = uuid4()
SENDS = 20
SENDER = """
import asyncio, sys
from uuid import UUID
from tests.flows.test_conversations import sent
tenant, conversation, caller, name, count = sys.argv[1:]
async def main():
    await asyncio.gather(*(
        sent(f"{name} {n}: how long is green tea steeped?", UUID(tenant), UUID(conversation), UUID(caller))
        for n in range(int(count))
    ))
asyncio.run(main())
"""


async def sent(question: str, tenant: UUID, conversation: UUID, caller: UUID = CALLER) -> UUID:
    query_id = await receive_query(
        Inquiry(question, asked_by=caller, conversation_id=conversation), tenant, durable=False
    )
    await answered(query_id, tenant)
    return query_id


async def answered(query_id: UUID, tenant: UUID) -> None:
    with traced():
        await answer_query.fn(query_id, tenant)


@pytest.fixture
async def tea(store: Database, tenant: UUID, tmp_path: Path) -> UUID:
    (tmp_path / "tea.md").write_text(TEA)
    ingestion_id = await receive_ingestion([{"uri": str(tmp_path / "tea.md")}], tenant)
    with traced():
        await ingest_stored.fn(ingestion_id, tenant)
    return tenant


@pytest.fixture
async def conversation(tea: UUID) -> UUID:
    return await begin_conversation(tea, CALLER)


def turns(url: str, conversation: UUID) -> list[dict[str, Any]]:
    told = """
    select q.turn, q.text, q.history, q.status, q.started_at, q.finished_at, a.text as answer
    from query q left join answer a on a.query_id = q.id where q.conversation_id = %s order by q.turn
    """
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(told, (conversation,)).fetchall()


def assert_in_order(told: list[dict[str, Any]]) -> None:
    """Each turn began when the one before it had ended, and knew exactly the turns before it."""
    assert [turn["turn"] for turn in told] == list(range(1, len(told) + 1))
    assert {turn["status"] for turn in told} == {"done"}
    for earlier, later in pairwise(told):
        assert earlier["finished_at"] <= later["started_at"]
    said: list[dict[str, str]] = []
    for turn in told:
        assert turn["history"] == said
        said += [part.model_dump() for part in Exchange(turn["turn"], turn["text"], turn["answer"]).turns()]


async def test_20_concurrent_sends_lose_and_swap_no_turn(tea: UUID, conversation: UUID, database_url: str) -> None:
    questions = [f"{n}: how long is green tea steeped?" for n in range(SENDS)]
    await asyncio.gather(*(sent(question, tea, conversation) for question in questions))
    told = turns(database_url, conversation)
    assert sorted(turn["text"] for turn in told) == sorted(questions)
    assert_in_order(told)


async def test_sends_from_several_processes_lose_and_swap_no_turn(
    tea: UUID, conversation: UUID, database_url: str
) -> None:
    folder = str(Path(__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": folder}
    said = [str(tea), str(conversation), str(CALLER)]
    processes = [
        subprocess.Popen([sys.executable, "-c", SENDER, *said, name, "10"], cwd=folder, env=environment)
        for name in ("a", "b")
    ]
    assert [await asyncio.to_thread(process.wait, 280) for process in processes] == [0, 0]
    told = turns(database_url, conversation)
    assert len(told) == 20
    assert_in_order(told)


async def test_a_waiting_conversation_holds_up_no_other(tea: UUID, conversation: UUID) -> None:
    other = await begin_conversation(tea, CALLER)
    held = await receive_query(Inquiry("Green tea?", asked_by=CALLER, conversation_id=conversation), tea)
    waiting = asyncio.create_task(sent("And black tea?", tea, conversation))
    elsewhere = await read_answer(await sent("How long is green tea steeped?", tea, other), tea)
    assert elsewhere.status == "done"
    assert not waiting.done()
    await answered(held, tea)
    assert (await read_answer(await waiting, tea)).turn == 2


async def test_a_turn_whose_process_died_is_passed_over_and_cannot_speak_later(
    tea: UUID, conversation: UUID, database_url: str
) -> None:
    dead = await receive_query(Inquiry("Green tea?", asked_by=CALLER, conversation_id=conversation), tea)
    with psycopg.connect(database_url) as connection:
        connection.execute("update query set leased_until = now() - interval '1 second' where id = %s", (dead,))
    after = await read_answer(await sent("How long is black tea steeped?", tea, conversation), tea)
    assert after.status == "done"
    passed_over = await read_answer(dead, tea)
    assert passed_over.error
    assert (passed_over.status, passed_over.error.code) == ("failed", "turn_lapsed")
    await answered(dead, tea)
    assert await read_answer(dead, tea) == passed_over


async def test_a_live_turn_is_waited_for_however_long_it_takes(tea: UUID, conversation: UUID) -> None:
    held = await receive_query(Inquiry("Green tea?", asked_by=CALLER, conversation_id=conversation), tea)
    waiting = asyncio.create_task(sent("And black tea?", tea, conversation))
    done, _ = await asyncio.wait([waiting], timeout=0.5)
    assert not done
    assert (await read_answer(held, tea)).status == "queued"
    await answered(held, tea)
    await waiting


async def test_a_follow_up_is_searched_for_with_the_turns_before_it(tea: UUID, conversation: UUID) -> None:
    await sent("How long is green tea steeped?", tea, conversation)
    follow_up = await read_answer(await sent("And black tea?", tea, conversation), tea)
    assert follow_up.question == "And black tea?"
    assert follow_up.standalone == "How long is green tea steeped?\nAnd black tea?"


async def test_older_turns_are_summarised_once_and_the_summary_is_kept(
    tea: UUID, conversation: UUID, database_url: str
) -> None:
    for number in range(4):
        await sent(f"Question {number}. {'How long is green tea steeped? ' * 80}", tea, conversation)
    told = turns(database_url, conversation)
    assert told[-1]["history"][0]["role"] == "summary"
    assert "Question 0." in told[-1]["history"][0]["text"]
    assert (await read_conversation(conversation, tea, CALLER))["summary"]


async def test_a_conversation_belongs_to_its_caller(tea: UUID, conversation: UUID) -> None:
    with pytest.raises(NotFound):
        await sent("Green tea?", tea, conversation, uuid4())
    with pytest.raises(NotFound):
        await read_conversation(conversation, tea, uuid4())
    with pytest.raises(NotFound):
        await delete_conversation(conversation, tea, uuid4())


async def test_deleting_a_conversation_deletes_its_turns(tea: UUID, conversation: UUID) -> None:
    query_id = await sent("How long is green tea steeped?", tea, conversation)
    await delete_conversation(conversation, tea, CALLER)
    assert await read_answers([query_id], tea) == []


async def test_who_prefers_long_answers_is_quoted_more_sentences(tea: UUID, conversation: UUID) -> None:
    short = await read_answer(await sent("How long is green tea steeped?", tea, conversation), tea)
    await save_preferences(Preferences(length="long"), tea, CALLER)
    other = await begin_conversation(tea, CALLER)
    long = await read_answer(await sent("How long is green tea steeped?", tea, other), tea)
    assert len(short.citations) == 1
    assert long.citations[0] == short.citations[0]
    assert len(long.citations) == 3
    assert all(TEA[cited.start : cited.end] == cited.quote for cited in long.citations)


async def test_a_procedure_is_quoted_whole_unless_the_caller_likes_it_short_and_more_if_long(
    tea: UUID, tmp_path: Path
) -> None:
    steps = "".join(f"{number}. Turn screw {number} of the samovar.\n" for number in range(1, 8))
    after = "Let the metal rest for an hour. Polish what has lost its shine."
    (tmp_path / "samovar.md").write_text(f"# Samovar\n\nTo assemble the samovar, do this:\n\n{steps}\n{after}")
    ingestion_id = await receive_ingestion([{"uri": str(tmp_path / "samovar.md")}], tea)
    with traced():
        await ingest_stored.fn(ingestion_id, tea)
    cited: dict[str, int] = {}
    for length in ("short", "normal", "long"):
        await save_preferences(Preferences(length=length), tea, CALLER)
        query_id = await receive_query(Inquiry("How do I assemble the samovar?", asked_by=CALLER), tea)
        await answered(query_id, tea)
        cited[length] = len((await read_answer(query_id, tea)).citations)
    assert cited == {"short": 1, "normal": 7, "long": 9}


async def test_what_a_conversation_remembers_of_a_deleted_document_goes_with_it(
    tea: UUID, conversation: UUID, database_url: str
) -> None:
    for number in range(4):
        await sent(f"Question {number}. {'How long is green tea steeped? ' * 80}", tea, conversation)
    last = await read_answer(await sent("How long is green tea steeped?", tea, conversation), tea)
    assert (await read_conversation(conversation, tea, CALLER))["summary"]
    await forget(last.citations[0].external_id, tea)
    assert [turn["history"] for turn in turns(database_url, conversation)] == [[]] * 5
    assert (await read_conversation(conversation, tea, CALLER))["summary"] == ""
    assert (await read_answer(last.query_id, tea)).standalone == last.question
