"""An evaluation measures what a suite expects, ends every case, keeps its limits and tells regressed from broken."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from blocks.database import Database
from flows.evaluate import carry_out, ending
from kowai.errors import EvaluationBroken, NotFound
from kowai.suite_formats import read_suite
from kowai.suites import Limits
from tasks import evaluations
from tasks.evaluations import Trial, receive_evaluation
from tasks.step import traced
from tasks.suites import find_suite, newest_suites, receive_suite
from tests.flows.conftest import learn_tea, rows
from tests.model_server import Act, ModelServer

FOUND = "[[ ## found ## ]]\nTrue\n\n[[ ## answer ## ]]\n{}\n\n[[ ## completed ## ]]"
GOOD = FOUND.format("Green tea is steeped for three minutes at 80 degrees [1].")
VERDICT = "[[ ## reason ## ]]\nbecause\n\n[[ ## score ## ]]\n{}\n\n[[ ## completed ## ]]"
CASES = [
    {"id": "green", "question": "How long is green tea steeped?", "facts": ["three minutes"], "documents": ["tea.md"]},
    {"id": "black", "question": "How long does black tea take?", "answers": ["five minutes"], "documents": ["tea.md"]},
    {"id": "king", "question": "Who is the king of France?", "unanswerable": True},
]


@pytest.fixture
async def tea(store: Database, tenant: UUID, tmp_path: Path) -> UUID:
    await learn_tea(tenant, tmp_path / "documents")
    return tenant


async def stored(cases: list[dict[str, Any]], tenant: UUID, **about: Any) -> UUID:
    data = json.dumps({"name": "tea", **about, "cases": cases}, indent=1).replace('"cases"', "cases")
    return await receive_suite(read_suite({"tea.yaml": data.encode()}, "tea", "native").suite, "test", tenant)


async def evaluated(suite_id: UUID, tenant: UUID, **trial: Any) -> tuple[UUID, str]:
    with traced():
        evaluation_id = await receive_evaluation(Trial(suite_id, **trial), tenant)
        return evaluation_id, await carry_out(evaluation_id, tenant)


def row(url: str, evaluation_id: UUID) -> dict[str, Any]:
    (found,) = rows(url, f"select * from evaluation where id = '{evaluation_id}'")
    return found


def values(url: str, evaluation_id: UUID) -> dict[str, float]:
    known = row(url, evaluation_id)["summary"]["estimates"]["assistant"]
    return {name: estimate["value"] for name, estimate in known.items()}


def states(url: str, evaluation_id: UUID) -> dict[str, str | None]:
    found = rows(
        url,
        f"select s.key, i.state, i.cause from batch_item i join set_question s on s.id = i.question_id "
        f"where batch_id = '{evaluation_id}'",
    )
    return {each["key"]: each["cause"] or each["state"] for each in found}


async def test_answers_rankings_citations_and_abstentions_are_measured(tea: UUID, database_url: str) -> None:
    evaluation_id, outcome = await evaluated(await stored(CASES, tea), tea)
    found = values(database_url, evaluation_id)
    assert outcome == "passed"
    assert found["completion"] == found["containment"] == found["recall_at_5"] == found["mrr"] == 1
    assert found["citation_precision"] == found["abstention_f1"] == 1
    assert found["exact_match"] == 0
    assert 0 < found["token_f1"] < 1
    assert 0 < found["semantic_similarity"] <= 1
    assert found["cost_dollars"] == 0
    assert row(database_url, evaluation_id)["accepted"]


async def test_a_case_whose_document_is_absent_is_refused_by_name_and_the_rest_is_measured(
    tea: UUID, database_url: str
) -> None:
    missing = {"id": "coffee", "question": "How hot is coffee?", "documents": ["coffee.md"]}
    evaluation_id, outcome = await evaluated(await stored([*CASES, missing], tea), tea)
    assert outcome == "passed"
    assert states(database_url, evaluation_id)["coffee"] == "missing_document"
    assert row(database_url, evaluation_id)["summary"]["measured"] == 3


async def test_a_worse_evaluation_is_regressed_names_the_question_and_is_not_accepted(
    tea: UUID, database_url: str, use: Callable[..., None], model_server: ModelServer
) -> None:
    suite_id = await stored(CASES, tea)
    first, _ = await evaluated(suite_id, tea)
    use(model_server.target())
    model_server.default = Act(content=FOUND.format("Black tea takes five minutes [1]."))
    second, outcome = await evaluated(suite_id, tea, judged=False)
    found = row(database_url, second)
    assert (outcome, found["accepted"], found["baseline_id"]) == ("regressed", False, first)
    assert "green" in {question["case"] for question in found["comparison"]["questions"]}
    assert ending(["passed", outcome]).name == "Regressed"
    assert ending([outcome]).is_completed()


async def test_an_evaluation_without_answers_is_broken(
    tea: UUID, use: Callable[..., None], model_server: ModelServer
) -> None:
    use(model_server.target())
    model_server.default = Act(status=400)
    _, outcome = await evaluated(await stored(CASES, tea), tea, judged=False)
    assert outcome == "broken"
    with pytest.raises(EvaluationBroken):
        ending([outcome])


async def test_a_judge_rates_answers_and_its_agreement_is_told(
    tea: UUID, database_url: str, use: Callable[..., None], model_server: ModelServer
) -> None:
    use(model_server.target(), model_server.target("judge", roles=("judge",)))
    model_server.script = [Act(content=GOOD), Act(content=VERDICT.format(5))]
    evaluation_id, _ = await evaluated(await stored(CASES[:1], tea), tea)
    found = row(database_url, evaluation_id)
    assert values(database_url, evaluation_id)["judge"] == 1
    assert found["agreement"] == {"cases": 1, "agreed": 1.0, "kappa": None}
    (score,) = rows(database_url, "select reason from case_score")
    assert score["reason"] == "because"


@pytest.mark.parametrize("nonsense", ["gibberish", VERDICT.format(9), VERDICT.format("very good")])
async def test_a_judge_that_returns_nonsense_makes_a_dead_case_and_no_score(
    tea: UUID, database_url: str, use: Callable[..., None], model_server: ModelServer, nonsense: str
) -> None:
    use(model_server.target(), model_server.target("judge", roles=("judge",)))
    model_server.script = [Act(content=GOOD)]
    model_server.default = Act(content=nonsense)
    evaluation_id, _ = await evaluated(await stored(CASES[:1], tea), tea)
    assert states(database_url, evaluation_id) == {"green": "judge_nonsense"}
    assert rows(database_url, "select * from case_score") == []


async def test_evaluating_again_pays_nothing(
    tea: UUID, use: Callable[..., None], model_server: ModelServer, database_url: str
) -> None:
    use(model_server.target(price="10"))
    model_server.default = Act(content=GOOD)
    suite_id = await stored(CASES, tea)
    await evaluated(suite_id, tea, judged=False)
    asked, (spent,) = len(model_server.asked), rows(database_url, "select spent from spend")
    await evaluated(suite_id, tea, judged=False)
    assert len(model_server.asked) == asked
    assert rows(database_url, "select spent from spend") == [spent]


async def test_a_limit_in_dollars_is_kept_within_one_question(
    tea: UUID, use: Callable[..., None], model_server: ModelServer, database_url: str
) -> None:
    use(model_server.target(price="1000"))  # a question is 100 and 10 tokens: 0.11 dollars
    model_server.default = Act(content=GOOD)
    cases = [{"id": str(n), "question": f"How long is green tea number {n} steeped?"} for n in range(12)]
    limits = Limits(dollars=Decimal("0.3"))
    evaluation_id, _ = await evaluated(await stored(cases, tea), tea, judged=False, limits=limits)
    (spent,) = rows(database_url, "select spent from spend")
    assert Decimal("0.3") <= spent["spent"] <= Decimal("0.41")
    ended = list(states(database_url, evaluation_id).values())
    assert (ended.count("done"), ended.count("limit_reached")) == (3, 9)
    assert row(database_url, evaluation_id)["stopped_by"] == "limit"


async def test_an_evaluation_that_was_interrupted_goes_on_where_it_was(tea: UUID, database_url: str) -> None:
    suite_id = await stored(CASES, tea)
    evaluation_id, _ = await evaluated(suite_id, tea)
    before = rows(database_url, "select * from case_score order by id")
    with traced():
        assert await receive_evaluation(Trial(suite_id), tea, evaluation_id) == evaluation_id
        assert await carry_out(evaluation_id, tea) == "passed"
    assert rows(database_url, "select * from case_score order by id") == before


async def test_the_same_content_is_one_version_and_another_content_the_next(tea: UUID, database_url: str) -> None:
    first, same = await stored(CASES, tea), await stored(CASES, tea)
    second = await stored(CASES[:2], tea)
    assert first == same != second
    assert await find_suite("tea", tea) == second
    assert await newest_suites(tea) == [second]
    assert [each["version"] for each in rows(database_url, "select version from suite order by 1")] == [1, 2]
    with pytest.raises(NotFound):
        await find_suite("nothing", tea)


async def test_the_shipped_suite_is_found_by_its_name(tea: UUID) -> None:
    assert await find_suite("handbook", tea) == await find_suite("handbook", tea)


async def test_a_case_may_name_its_own_persona_and_one_that_is_unknown_is_refused(tea: UUID, database_url: str) -> None:
    cases = [CASES[0] | {"persona": "technical"}, CASES[1] | {"persona": "nobody"}]
    await evaluated(await stored(cases, tea), tea)
    found = rows(database_url, "select persona, state from batch_item order by persona")
    assert found == [{"persona": "nobody", "state": "refused"}, {"persona": "technical", "state": "done"}]
    assert evaluations.DEFAULT_PERSONA == "assistant"


async def test_auto_gives_each_question_to_whom_it_is_for_and_the_evaluation_says_to_whom(
    tea: UUID, database_url: str
) -> None:
    asked = ["Write a Python function that steeps green tea.", "Write a poem about green tea."]
    cases = [{"id": str(n), "question": question, "facts": ["tea"]} for n, question in enumerate(asked)]
    cases.append({"id": "own", "question": "How long is green tea steeped?", "facts": ["tea"], "persona": "technical"})
    evaluation_id, outcome = await evaluated(await stored(cases, tea, persona="auto"), tea)
    summary = row(database_url, evaluation_id)["summary"]
    assert (outcome, summary["measured"], summary["completed"]) == ("passed", 3, 3)
    assert summary["routed"] == {"creative": 1, "developer": 1}
    assert set(summary["estimates"]) == {"auto", "technical"}
    chosen = rows(database_url, "select persona, routed_by from query where routed_by is not null order by 1")
    assert chosen == [{"persona": name, "routed_by": "examples"} for name in ("creative", "developer")]
