"""A version goes live only through the gate, answers from then on, and what answered is known for ever."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy.exc import ProgrammingError

from blocks.database import Database
from flows.answer import answer_query
from flows.promote import run_promotion
from kowai.errors import EvaluationBroken, NotFound
from kowai.suite_formats import read_suite
from kowai.versions import BadVersion
from tasks.promote import receive_promotion, roll_back
from tasks.receive import Inquiry, receive_query
from tasks.step import traced
from tasks.suites import receive_suite
from tasks.versions import receive_version
from tests.flows.conftest import learn_tea, rows
from tests.model_server import Act, ModelServer

FOUND = "[[ ## found ## ]]\nTrue\n\n[[ ## answer ## ]]\n{}\n\n[[ ## completed ## ]]"
RIGHT, WRONG = "Green tea is steeped for three minutes at 80 degrees [1].", "Black tea takes five minutes [1]."
STRICT, EQUAL = {"least_confidence": 1.0}, {"passages": 7}


@pytest.fixture
async def tea(store: Database, tenant: UUID, tmp_path: Path) -> UUID:
    await learn_tea(tenant, tmp_path / "documents")
    return tenant


async def suite_of(cases: int, tenant: UUID, question: str = "How long is green tea steeped?") -> UUID:
    asked = [{"id": f"case-{n}", "question": question.format(n), "facts": ["three minutes"]} for n in range(cases)]
    data = json.dumps({"name": "tea", "cases": asked}).encode()
    return await receive_suite(read_suite({"tea.yaml": data}, "tea", "native").suite, "test", tenant)


async def promoted(slot: str, content: dict[str, Any], suite_id: UUID, tenant: UUID) -> tuple[str, UUID]:
    version_id = await receive_version(slot, content, tenant)
    promotion_id = await receive_promotion(version_id, suite_id, tenant)
    with traced():
        state = await run_promotion.fn(promotion_id, tenant)
    assert state.is_completed(), "a refusal is no failure"
    return state.name, promotion_id


def row(url: str, promotion_id: UUID) -> dict[str, Any]:
    (found,) = rows(url, f"select * from promotion where id = '{promotion_id}'")
    return found


async def asked(question: str, tenant: UUID, url: str) -> dict[str, Any]:
    query_id = await receive_query(Inquiry(question), tenant)
    with traced():
        await answer_query.fn(query_id, tenant)
    (found,) = rows(url, f"select * from answer where query_id = '{query_id}'")
    return found


async def test_a_ten_point_regression_is_refused_and_names_its_questions(
    tea: UUID, database_url: str, use: Callable[..., None], model_server: ModelServer
) -> None:
    use(model_server.target())
    suite_id = await suite_of(10, tea, "How long is green tea steeped, guest {}?")

    def speak() -> None:
        told = json.dumps(model_server.asked[-1])
        worse = "CANDIDATE" in told and "guest 4?" in told
        model_server.default = Act(content=FOUND.format(WRONG if worse else RIGHT))

    model_server.on_request = speak
    name, promotion_id = await promoted("prompt:assistant", {"instructions": "CANDIDATE"}, suite_id, tea)
    found = row(database_url, promotion_id)
    assert name == "Refused"
    assert "containment of assistant -0.100" in found["sentence"]
    assert [question["case"] for question in found["comparison"]["questions"]] == ["case-4"]
    assert rows(database_url, "select * from live_setting") == []


async def test_an_equal_candidate_goes_live_and_answers_from_then_on(tea: UUID, database_url: str) -> None:
    before = await asked("How long is green tea steeped?", tea, database_url)
    name, promotion_id = await promoted("retrieval", EQUAL, await suite_of(10, tea), tea)
    after = await asked("How long is black tea steeped?", tea, database_url)
    assert name == "Promoted"
    assert row(database_url, promotion_id)["incumbent_id"] is None
    assert before["versions"] == {}
    assert after["versions"] == {"retrieval": str(row(database_url, promotion_id)["version_id"])}


async def test_a_setting_really_takes_effect_in_the_evaluation_and_what_abstains_is_refused(
    tea: UUID, database_url: str
) -> None:
    name, promotion_id = await promoted("retrieval", STRICT, await suite_of(10, tea), tea)
    assert name == "Refused"
    assert "containment" in row(database_url, promotion_id)["sentence"]
    assert not (await asked("How long is green tea steeped?", tea, database_url))["abstained"]


async def test_a_persona_and_its_prompt_reach_the_model_and_another_target_speaks(
    tea: UUID, database_url: str, use: Callable[..., None], model_server: ModelServer
) -> None:
    use(model_server.target("first"), model_server.target("second"))
    model_server.default = Act(content=FOUND.format(RIGHT))
    suite_id = await suite_of(2, tea)
    demo = {"question": "How hot?", "passages": "p", "voice": "v", "conversation": "", "answer": "EIGHTY [1]."}
    for slot, content in (
        ("persona:assistant", {"style": "LIKE A PIRATE"}),
        ("prompt:assistant", {"instructions": "SPEAK BRIEFLY", "demos": [demo | {"found": True}]}),
        ("model", {"target": "second"}),
    ):
        assert (await promoted(slot, content, suite_id, tea))[0] == "Promoted"
    answer = await asked("How long is green tea steeped?", tea, database_url)
    told = json.dumps(model_server.asked[-1])
    assert all(part in told for part in ("LIKE A PIRATE", "SPEAK BRIEFLY", "EIGHTY"))
    assert answer["model"] == "second"
    assert set(answer["versions"]) == {"persona:assistant", "prompt:assistant", "model"}


async def test_a_candidate_that_cannot_answer_is_broken_and_does_not_go_live(
    tea: UUID, database_url: str, use: Callable[..., None], model_server: ModelServer
) -> None:
    use(model_server.target("first"))
    model_server.default = Act(status=400)
    version_id = await receive_version("retrieval", EQUAL, tea)
    promotion_id = await receive_promotion(version_id, await suite_of(3, tea), tea)
    with traced(), pytest.raises(EvaluationBroken):
        await run_promotion.fn(promotion_id, tea)
    assert row(database_url, promotion_id)["outcome"] == "broken"
    assert rows(database_url, "select * from live_setting") == []


async def test_of_two_candidates_against_one_incumbent_only_the_first_goes_live(tea: UUID, database_url: str) -> None:
    suite_id = await suite_of(3, tea)
    late_id = await receive_promotion(await receive_version("retrieval", {"passages": 6}, tea), suite_id, tea)
    assert (await promoted("retrieval", EQUAL, suite_id, tea))[0] == "Promoted"
    with traced():
        assert (await run_promotion.fn(late_id, tea)).name == "Refused"
    assert "meanwhile" in row(database_url, late_id)["sentence"]


async def test_rolling_back_restores_what_was_live_before(tea: UUID, database_url: str) -> None:
    suite_id = await suite_of(3, tea)
    _, first = await promoted("retrieval", EQUAL, suite_id, tea)
    _, second = await promoted("retrieval", {"passages": 6}, suite_id, tea)
    assert not await roll_back(first, tea, "not live any more")
    assert await roll_back(second, tea, "people dislike it")
    (live,) = rows(database_url, "select version_id from live_setting")
    assert live["version_id"] == row(database_url, first)["version_id"]
    assert await roll_back(first, tea, "neither")
    assert rows(database_url, "select * from live_setting") == []
    assert row(database_url, second)["outcome"] == "rolled_back"


async def test_deciding_again_changes_nothing(tea: UUID, database_url: str) -> None:
    _, promotion_id = await promoted("retrieval", EQUAL, await suite_of(3, tea), tea)
    before = row(database_url, promotion_id)
    with traced():
        assert (await run_promotion.fn(promotion_id, tea)).name == "Promoted"
    assert row(database_url, promotion_id) == before


async def test_a_version_is_stored_once_and_never_changed(tea: UUID, store: Database, database_url: str) -> None:
    first, same = [await receive_version("retrieval", EQUAL, tea) for _ in range(2)]
    assert first == same
    with pytest.raises(ProgrammingError, match="permission denied"):
        async with store.transaction(tea) as connection:
            await connection.exec_driver_sql("update setting_version set content = '{}'")
    with psycopg.connect(database_url) as owner:
        assert owner.execute("select number from setting_version").fetchall() == [(1,)]


@pytest.mark.parametrize(
    ("slot", "content"),
    [
        ("weather", {"a": 1}),
        ("persona", {"style": "x"}),
        ("persona:nobody", {"style": "x"}),
        ("retrieval:assistant", EQUAL),
        ("retrieval", {"passages": 0}),
        ("retrieval", {}),
        ("prompt:assistant", {"secret": 1}),
        ("model", {"target": "missing"}),
    ],
)
async def test_what_is_no_setting_is_refused(tea: UUID, slot: str, content: dict[str, Any]) -> None:
    with pytest.raises(BadVersion):
        await receive_version(slot, content, tea)


async def test_another_tenants_version_is_not_there(tea: UUID, other_tenant: UUID) -> None:
    version_id, suite_id = await receive_version("retrieval", EQUAL, tea), await suite_of(1, tea)
    with pytest.raises(NotFound):
        await receive_promotion(version_id, suite_id, other_tenant)
