"""A stored question ends answered, refused or failed, and its answer cites what it quotes."""

from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update
from sqlmodel import col

from blocks.database import Database
from blocks.lender import driver_of
from deployments.shim.answers import READ, read_answer
from flows.answer import answer_query
from flows.ingest import ingest_stored
from kowai.errors import NotFound
from kowai.tables.identity import Tenant
from tasks.read_back import ReadBack, reading_back
from tasks.receive import Inquiry, UnknownPersona, receive_ingestion, receive_query
from tasks.step import traced

TEA = "# Tea\n\nGreen tea is steeped for three minutes at 80 degrees. Black tea takes five minutes.\n"
ROUND_TRIPS = 5  # one to admit it, three to search and one to store its answer


@pytest.fixture
async def tea(store: Database, tenant: UUID, tmp_path: Path) -> UUID:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "tea.md").write_text(TEA)
    ingestion_id = await receive_ingestion([{"uri": str(folder)}], tenant)
    with traced():
        await ingest_stored.fn(ingestion_id, tenant)
    return tenant


async def asked(question: str, tenant: UUID, persona: str = "assistant"):
    query_id = await receive_query(Inquiry(question, persona), tenant)
    with traced() as trace:
        await answer_query.fn(query_id, tenant)
    return await read_answer(query_id, tenant), trace


async def test_an_answer_quotes_the_document_word_for_word(tea: UUID) -> None:
    answer, trace = await asked("How long is green tea steeped?", tea)
    assert answer.status == "done"
    assert answer.model == "extractive"
    (citation,) = answer.citations
    assert TEA[citation.start : citation.end] == citation.quote
    assert "three minutes" in citation.quote
    assert [run.name for run in trace.steps] == ["admit", "retrieve", "generate", "record-answer"]


async def test_an_answer_takes_few_round_trips_to_the_database(store: Database, tea: UUID, tmp_path: Path) -> None:
    await asked("How long is green tea steeped?", tea)  # what is read once a process has been read
    query_id = await receive_query(Inquiry("How long does black tea take?"), tea)
    async with store.transaction(tea) as connection:
        driver = driver_of(connection)
    with (tmp_path / "messages").open("w") as messages, traced():
        driver.pgconn.trace(messages.fileno())
        await answer_query.fn(query_id, tea)
        driver.pgconn.untrace()
    told = (tmp_path / "messages").read_text()
    assert told.count("ReadyForQuery") <= ROUND_TRIPS
    assert (await read_answer(query_id, tea)).status == "done"


async def test_an_answer_that_its_own_transaction_reads_is_the_one_that_is_stored(tea: UUID) -> None:
    query_id, back = await receive_query(Inquiry("How long does black tea take?"), tea), ReadBack(READ)
    with traced(), reading_back(back):
        await answer_query.fn(query_id, tea)
    assert back.row is not None
    assert await read_answer(query_id, tea, back) == await read_answer(query_id, tea)


async def test_a_tenant_without_documents_is_told_so(store: Database, tenant: UUID) -> None:
    answer, _ = await asked("How long is green tea steeped?", tenant)
    assert answer.abstained
    assert answer.citations == []


async def test_another_tenants_documents_never_answer(tea: UUID, other_tenant: UUID) -> None:
    answer, _ = await asked("How long is green tea steeped?", other_tenant)
    assert answer.abstained


async def test_a_suspended_tenant_is_refused_which_is_no_failure(store: Database, tea: UUID) -> None:
    query_id = await receive_query(Inquiry("How long is green tea steeped?"), tea)
    async with store.transaction(tea) as connection:
        await connection.execute(update(Tenant).where(col(Tenant.id) == tea).values(suspended=True))
    with traced():
        await answer_query.fn(query_id, tea)
    async with store.transaction(tea, even_suspended=True) as connection:
        await connection.execute(update(Tenant).where(col(Tenant.id) == tea).values(suspended=False))
    answer = await read_answer(query_id, tea)
    assert answer.status == "refused"
    assert answer.error
    assert answer.error.code == "tenant_suspended"


async def test_answering_again_changes_nothing(tea: UUID) -> None:
    answer, _ = await asked("How long is green tea steeped?", tea)
    with traced():
        await answer_query.fn(answer.query_id, tea)
    assert await read_answer(answer.query_id, tea) == answer


async def test_an_unknown_question_fails_with_its_code(store: Database, tenant: UUID) -> None:
    with pytest.raises(NotFound), traced():
        await answer_query.fn(uuid4(), tenant)


async def test_an_unknown_persona_is_refused_before_anything_is_stored(store: Database, tenant: UUID) -> None:
    with pytest.raises(UnknownPersona, match="assistant"):
        await receive_query(Inquiry("Who?", persona="nobody"), tenant)


async def test_a_question_to_nobody_in_particular_is_routed_and_says_how_sure_that_is(tea: UUID) -> None:
    answer, trace = await asked("Write a Python function that steeps green tea.", tea, persona="auto")
    assert answer.persona == "developer"
    assert answer.routing
    assert answer.routing.by == "examples"
    assert 0.6 < (answer.routing.confidence or 0) <= 1
    assert [run.name for run in trace.steps] == ["admit", "route", "retrieve", "generate", "record-answer"]


async def test_a_question_to_somebody_is_not_routed(tea: UUID) -> None:
    answer, _ = await asked("Write a Python function that steeps green tea.", tea, persona="analyst")
    assert (answer.persona, answer.routing) == ("analyst", None)
