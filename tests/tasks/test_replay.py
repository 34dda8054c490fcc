"""An answer can be made again from what was stored with it: identical to the byte, and unpaid unless asked for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from blocks.database import Database
from flows.answer import answer_query
from flows.ingest import ingest_stored
from kowai.errors import NotFound, NothingToReplay
from kowai.personas import personas
from kowai.replay import Record
from tasks import generate as generate_module
from tasks import replay as replay_module
from tasks.receive import Inquiry, receive_ingestion, receive_query
from tasks.replay import read_record, replay, shown_prompt
from tasks.step import traced
from tests.model_server import Act, ModelServer

TEA = "Green tea is steeped for three minutes at 80 degrees. Black tea takes five minutes.\n"
SAID = "[[ ## found ## ]]\nTrue\n\n[[ ## answer ## ]]\n{}\n\n[[ ## completed ## ]]"
QUESTION = "How long is green tea steeped?"


@pytest.fixture
async def tea(store: Database, tenant: UUID, tmp_path: Path) -> UUID:
    (tmp_path / "tea.md").write_text(TEA)
    await learn(tenant, tmp_path / "tea.md")
    return tenant


async def learn(tenant: UUID, path: Path) -> None:
    ingestion_id = await receive_ingestion([{"uri": str(path)}], tenant)
    with traced():
        await ingest_stored.fn(ingestion_id, tenant)


async def asked(tenant: UUID, question: str = QUESTION) -> Record:
    query_id = await receive_query(Inquiry(question), tenant)
    with traced():
        await answer_query.fn(query_id, tenant)
    return await read_record(query_id, tenant)


@pytest.fixture
def speak(use: Callable[..., Any], model_server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that configures a model which says `answer`."""

    def configure(answer: str, **settings: Any) -> None:
        block = use(model_server.target(price="1")).model_copy(update=settings)

        async def configured() -> Any:
            return block

        for module in (generate_module, replay_module):
            monkeypatch.setattr(module, "language_model", configured)
        model_server.default = Act(content=SAID.format(answer))

    return configure


@pytest.mark.parametrize("question", [QUESTION, "Who painted the ceiling of the opera house in Lima?"])
async def test_an_offline_answer_is_made_again_to_the_byte(tea: UUID, question: str) -> None:
    record = await asked(tea, question)
    made = await replay(record, tea)
    assert (made.identical, made.difference, made.cost) == (True, "", 0)
    assert made.answer.model_dump_json() == record.answer.model_dump_json()


async def test_a_record_names_persona_version_passages_and_document_versions(tea: UUID, tmp_path: Path) -> None:
    record = await asked(tea)
    assert record.persona_version == record.current_persona_version == personas()["assistant"].version
    (source,) = record.passages
    assert (source.passage.version, source.current_version) == (1, 1)
    assert source.passage.score > 0
    (tmp_path / "tea.md").write_text(TEA.replace("three", "four"))
    await learn(tea, tmp_path / "tea.md")
    later = await read_record(record.query_id, tea)
    assert later.passages[0].current_version == 2
    assert (await replay(later, tea)).identical


async def test_a_models_stored_reply_is_read_again_and_paid_nothing(
    books: str, tea: UUID, speak: Callable[..., None], model_server: ModelServer
) -> None:
    speak("Green tea is steeped for three minutes [1].")
    record = await asked(tea)
    assert record.answer.text == "Green tea is steeped for three minutes. [1]"
    assert record.answer.confidence
    made = await replay(record, tea)
    assert (made.identical, made.cost, len(model_server.asked)) == (True, 0, 1)
    shown = shown_prompt(record)
    assert shown
    assert "three minutes at 80" in shown.inputs["passages"]


async def test_a_fresh_replay_asks_the_model_and_shows_what_changed(
    books: str, tea: UUID, speak: Callable[..., None], model_server: ModelServer
) -> None:
    speak("Green tea is steeped for three minutes [1].")
    record = await asked(tea)
    speak("Black tea takes five minutes [1].")
    made = await replay(record, tea, 7)
    assert not made.identical
    assert "-answer: Green tea is steeped for three minutes. [1]" in made.difference
    assert "+answer: Black tea takes five minutes. [1]" in made.difference
    assert made.cost
    assert len(model_server.asked) == 2


async def test_a_model_that_checks_citations_is_read_again_as_well(
    books: str, tea: UUID, speak: Callable[..., None], model_server: ModelServer
) -> None:
    speak("Green tea is steeped for three minutes [1].", check_support=True)
    model_server.script = [model_server.default, Act(content="[[ ## supported ## ]]\n[]\n\n[[ ## completed ## ]]")]
    record = await asked(tea)
    assert record.answer.abstained
    assert (await replay(record, tea)).identical
    assert len(model_server.asked) == 2


async def test_a_reply_that_is_gone_is_not_silently_paid_again(
    store: Database, books: str, tea: UUID, speak: Callable[..., None], model_server: ModelServer
) -> None:
    speak("Green tea is steeped for three minutes [1].")
    record = await asked(tea)
    async with store.transaction(tea) as connection:
        await connection.execute(text("delete from model_call"))
    with pytest.raises(NothingToReplay, match="fresh"):
        await replay(record, tea)
    assert len(model_server.asked) == 1


async def test_an_unsupported_sentence_is_removed_by_policy(books: str, tea: UUID, speak: Callable[..., None]) -> None:
    answer = "Green tea is steeped for three minutes [1]. Napoleon loved it [1]."
    speak(answer, unsupported="remove")
    assert (await asked(tea)).answer.text == "Green tea is steeped for three minutes. [1]"


async def test_another_tenants_answer_is_not_shown(tea: UUID, other_tenant: UUID) -> None:
    record = await asked(tea)
    with pytest.raises(NotFound):
        await read_record(record.query_id, other_tenant)
    with pytest.raises(NotFound):
        await read_record(uuid4(), tea)


async def test_a_question_without_an_answer_has_nothing_to_replay(tea: UUID) -> None:
    query_id = await receive_query(Inquiry(QUESTION), tea)
    with pytest.raises(NothingToReplay):
        await read_record(query_id, tea)
