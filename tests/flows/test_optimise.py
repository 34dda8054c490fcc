"""A persona learns from half of a suite within a budget; what it learned goes live if the other half agrees."""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from blocks.database import Database
from flows.optimise import run_optimisation
from kowai import optimisers
from kowai.errors import BudgetExhausted
from kowai.optimisation import CitedAnswer, SuiteTooSmall, Tally, half_of, prompt_of
from kowai.optimisers import UnknownOptimiser
from kowai.suites import Limits
from kowai.versions import PromptSetting
from tasks.api_keys import NewKey, make_key, revoke_key
from tasks.forget import forget
from tasks.optimise import Wish, receive_optimisation
from tasks.step import traced
from tests.flows.conftest import learn_tea, rows
from tests.flows.test_promote import FOUND, RIGHT, WRONG, asked, suite_of
from tests.model_server import Act, ModelServer

QUESTION = "How long is green tea steeped, guest {}?"
CASES = 16
RULE = "Name the minutes."
PROPOSED = ("observations", "summary", "program_description", "module_description", "proposed_instruction")
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("simba", "gepa")]


@pytest.fixture
async def tea(store: Database, tenant: UUID, tmp_path: Path) -> UUID:
    await learn_tea(tenant, tmp_path / "documents")
    return tenant


class Pupil:
    """Play a model that answers every third guest rightly, and everybody once it was shown examples or the rule."""

    def __init__(self, server: ModelServer) -> None:
        self.server = server
        server.on_request = self.speak

    def speak(self) -> None:
        request = self.server.asked[-1]
        told = json.dumps(request["messages"])
        last = request["messages"][-1]["content"]
        guest = re.search(r"guest (\d+)", last)
        wanted = re.search(r"starting with the field `\[\[ ## (\w+) ## \]\]`", last)
        if wanted and wanted[1] in PROPOSED:
            self.server.default = Act(content=f"[[ ## {wanted[1]} ## ]]\n{RULE}\n\n[[ ## completed ## ]]")
        elif "new_instruction" in told or "module_advice" in told:
            self.server.default = Act(content=self.advice(told))
        elif guest is None:
            self.server.default = Act(status=400)
        else:
            has_learned = len(request["messages"]) > 2 or RULE in told
            lucky = (int(guest[1]) + request.get("seed", 0)) % 3 == 0
            self.server.default = Act(content=FOUND.format(RIGHT if has_learned or lucky else WRONG))

    def advice(self, told: str) -> str:
        if "module_advice" in told:
            advice = json.dumps({"answer": RULE})
            return f"[[ ## discussion ## ]]\nx\n\n[[ ## module_advice ## ]]\n{advice}\n\n[[ ## completed ## ]]"
        if "[[ ## new_instruction ## ]]" in told:
            return f"[[ ## new_instruction ## ]]\n{RULE}\n\n[[ ## completed ## ]]"
        return json.dumps({"new_instruction": RULE})


@pytest.fixture
def pupil(use: Callable[..., None], model_server: ModelServer) -> Pupil:
    use(model_server.target(price="1"))
    return Pupil(model_server)


async def optimised(tenant: UUID, suite_id: UUID, optimiser: str = "bootstrap", **limits: Any) -> tuple[str, UUID]:
    wish = Wish("assistant", suite_id, optimiser, Limits.model_validate({"dollars": "1", "minutes": 30} | limits))
    optimisation_id = await receive_optimisation(wish, tenant)
    with traced():
        state = await run_optimisation.fn(optimisation_id, tenant)
    assert state.is_completed()
    return state.name, optimisation_id


def row(url: str, table: str, id: UUID) -> dict[str, Any]:
    (found,) = rows(url, f"select * from {table} where id = '{id}'")
    return found


def gain_of(promotion: dict[str, Any]) -> float:
    return next(each["change"] for each in promotion["comparison"]["changes"] if each["metric"] == "containment")


@pytest.mark.parametrize(
    "optimiser", ["bootstrap", *(pytest.param(name, marks=pytest.mark.slow) for name in ("simba", "gepa", "mipro"))]
)
async def test_a_pupil_learns_and_the_held_out_half_is_answered_better(
    tea: UUID, database_url: str, pupil: Pupil, optimiser: str
) -> None:
    suite_id = await suite_of(CASES, tea, QUESTION)
    name, optimisation_id = await optimised(tea, suite_id, optimiser)
    found, promotion = (row(database_url, table, optimisation_id) for table in ("optimisation", "promotion"))
    assert (name, found["outcome"], found["stopped_by"]) == ("Promoted", "improved", None)
    assert found["lineage"]["before"] < 0.6 < found["lineage"]["after"]
    assert gain_of(promotion) > 0.4
    held_out = {f"case-{n}" for n in range(CASES) if half_of(f"case-{n}") == "held_out"}
    assert promotion["comparison"]["cases"] == len(held_out)
    answer = await asked(QUESTION.format(1), tea, database_url)
    assert "three minutes" in answer["text"]
    assert answer["versions"] == {"prompt:assistant": str(found["version_id"])}


async def test_an_answer_tells_by_its_persona_version_that_the_prompt_was_another(
    tea: UUID, database_url: str, pupil: Pupil
) -> None:
    before = await asked(QUESTION.format(0), tea, database_url)
    assert (await optimised(tea, await suite_of(CASES, tea, QUESTION)))[0] == "Promoted"
    after = await asked(QUESTION.format(0), tea, database_url)
    assert before["persona_version"] != after["persona_version"]
    assert after["prompt"]["demos"]


async def test_the_artefact_is_dspys_json_with_its_lineage_and_no_key(
    tea: UUID, database_url: str, pupil: Pupil, tmp_path: Path
) -> None:
    suite_id = await suite_of(CASES, tea, QUESTION)
    _, optimisation_id = await optimised(tea, suite_id)
    found = row(database_url, "optimisation", optimisation_id)
    (version,) = rows(database_url, "select * from setting_version")
    (tmp_path / "prompt.json").write_text(json.dumps(found["artefact"]))
    program = CitedAnswer(PromptSetting(), Tally({}, {}))
    program.load(tmp_path / "prompt.json")
    assert prompt_of(program) == PromptSetting.model_validate(version["content"])
    assert version["lineage"] == found["lineage"]
    assert found["lineage"]["suite_id"] == str(suite_id)
    assert re.fullmatch("[0-9a-f]{64}", found["lineage"]["data_hash"])
    assert Decimal(found["lineage"]["dollars"]) > 0
    assert found["artefact"]["answer"]["lm"] is None
    assert "api_key" not in json.dumps(found["artefact"])


async def test_learning_again_is_free_and_finds_the_same(tea: UUID, database_url: str, pupil: Pupil) -> None:
    suite_id = await suite_of(CASES, tea, QUESTION)
    wish = Wish("assistant", suite_id, "bootstrap", Limits())
    first = await receive_optimisation(wish, tea)
    with traced():
        await run_optimisation.fn(first, tea)
        rows_before = len(pupil.server.asked)
        await run_optimisation.fn(first, tea)
    assert len(pupil.server.asked) == rows_before
    assert len(rows(database_url, "select id from setting_version")) == 1


async def test_a_budget_that_ends_early_keeps_the_best_so_far(tea: UUID, database_url: str, pupil: Pupil) -> None:
    suite_id = await suite_of(CASES, tea, QUESTION)
    train = sum(half_of(f"case-{n}") == "train" for n in range(CASES))
    limit = 110 * (3 * train)  # tokens: each call takes 110
    name, optimisation_id = await optimised(tea, suite_id, "gepa", dollars=None, tokens=limit)
    found = row(database_url, "optimisation", optimisation_id)
    assert (found["stopped_by"], found["lineage"]["tokens"]) == ("limit", pytest.approx(limit, abs=110))
    assert "budget was used up" in found["sentence"]
    assert name == ("Promoted" if found["outcome"] == "improved" else "No gain")


async def test_a_budget_that_does_not_rate_todays_prompt_is_a_clear_end(
    tea: UUID, database_url: str, pupil: Pupil
) -> None:
    suite_id = await suite_of(CASES, tea, QUESTION)
    optimisation_id = await receive_optimisation(Wish("assistant", suite_id, "bootstrap", Limits(tokens=220)), tea)
    with traced(), pytest.raises(BudgetExhausted):
        await run_optimisation.fn(optimisation_id, tea)
    found = row(database_url, "optimisation", optimisation_id)
    assert (found["outcome"], found["sentence"]) == ("broken", "The optimisation's budget is used up.")
    assert len(pupil.server.asked) <= 3


async def test_a_search_ends_refused_when_whoever_wanted_it_may_not_any_more(
    tea: UUID, database_url: str, pupil: Pupil
) -> None:
    suite_id = await suite_of(CASES, tea, QUESTION)
    view, _ = await make_key(NewKey("learns", "admin", None, None, None), tea)
    await revoke_key(view.id, tea)
    optimisation_id = await receive_optimisation(Wish("assistant", suite_id, "bootstrap", Limits(), view.id), tea)
    with traced():
        state = await run_optimisation.fn(optimisation_id, tea)
    assert state.is_completed()
    assert row(database_url, "optimisation", optimisation_id)["outcome"] == "refused"
    assert pupil.server.asked == []


async def test_a_model_that_cannot_learn_keeps_its_prompt(
    tea: UUID, database_url: str, use: Callable[..., None], model_server: ModelServer
) -> None:
    use(model_server.target())
    model_server.default = Act(content=FOUND.format(RIGHT))
    name, optimisation_id = await optimised(tea, await suite_of(CASES, tea, QUESTION))
    assert name == "No gain"
    assert row(database_url, "optimisation", optimisation_id)["outcome"] == "no_gain"
    assert rows(database_url, "select * from setting_version") == []


async def test_a_prompt_that_learned_from_a_document_goes_with_it(tea: UUID, database_url: str, pupil: Pupil) -> None:
    assert (await optimised(tea, await suite_of(CASES, tea, QUESTION)))[0] == "Promoted"
    (document,) = rows(database_url, "select external_id from document")
    await forget(document["external_id"], tea)
    for table in ("setting_version", "live_setting", "answer"):
        assert rows(database_url, f"select * from {table}") == []
    kept = rows(database_url, "select artefact::text as held from optimisation")
    kept += rows(database_url, "select coalesce(reply::text, '') as held from model_call")
    assert not any("three minutes" in each["held"] for each in kept)


async def test_what_cannot_be_learned_from_is_refused_by_name(
    tea: UUID, store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimisers, "find_spec", lambda name: None)  # as where the extra is not installed
    suite_id = await suite_of(2, tea, QUESTION)
    with pytest.raises(SuiteTooSmall):
        await receive_optimisation(Wish("assistant", suite_id, "bootstrap", Limits()), tea)
    for optimiser, word in (("magic", "no optimiser"), ("mipro", "needs the package optuna")):
        with pytest.raises(UnknownOptimiser, match=word):
            await receive_optimisation(Wish("assistant", suite_id, optimiser, Limits()), tea)


def test_halves_are_stable_and_about_as_large() -> None:
    keys = [f"case-{n}" for n in range(2_000)]
    train = sum(half_of(key) == "train" for key in keys)
    assert 900 < train < 1_100
    assert half_of("case-1") == half_of("case-1")
