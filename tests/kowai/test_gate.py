"""A candidate that is ten points worse is refused, one that is as good is not, and the questions are named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kowai.bootstrap import estimates
from kowai.gate import compare
from kowai.scores import METRICS, Outcome, ratios, sums


def outcome(case: int, score: float, **changes: object) -> Outcome:
    known = {"case": str(case), "persona": "assistant", "unanswerable": False, "abstained": False}
    return Outcome.model_validate(known | {"scores": {"containment": score, "cost_dollars": 0.01}} | changes)


def answered(right: list[bool]) -> list[Outcome]:
    return [outcome(number, float(one)) for number, one in enumerate(right)]


@pytest.mark.parametrize("cases", [10, 20, 30, 100, 1000])
def test_a_ten_point_regression_is_refused_and_its_questions_are_named(cases: int) -> None:
    incumbent = answered([True] * cases)
    candidate = answered([number >= cases // 10 for number in range(cases)])
    found = compare(candidate, incumbent)
    assert [change.metric for change in found.regressed] == ["containment"]
    assert {question.case for question in found.questions} == {str(number) for number in range(cases // 10)}


@pytest.mark.parametrize("cases", [1, 10, 100, 1000])
def test_an_equal_candidate_is_not_refused(cases: int) -> None:
    same = answered([number % 5 > 0 for number in range(cases)])
    assert not compare(same, same).regressed


def test_a_candidate_that_is_as_good_on_other_questions_is_not_refused() -> None:
    incumbent = answered([number % 5 > 0 for number in range(100)])
    candidate = answered([number % 5 > 1 or number % 5 == 0 for number in range(100)])
    found = compare(candidate, incumbent)
    assert not found.regressed
    change = next(each for each in found.changes if each.metric == "containment")
    assert change.change == 0
    assert change.low < 0 < change.high


def test_a_suite_may_set_its_own_margin() -> None:
    incumbent, candidate = answered([True] * 100), answered([number > 9 for number in range(100)])
    assert not compare(candidate, incumbent, {"containment": 0.2}).regressed


def test_cases_that_die_count_against_the_candidate() -> None:
    incumbent = answered([True] * 50)
    candidate = [outcome(n, 1.0, abstained=None, cause="crashed") if n < 5 else one for n, one in enumerate(incumbent)]
    found = compare(candidate, incumbent)
    assert [change.metric for change in found.regressed] == ["completion"]
    assert len(found.questions) == 5


def test_dearer_answers_are_a_regression_too() -> None:
    incumbent = answered([True] * 20)
    candidate = [outcome(n, 1.0, scores={"containment": 1.0, "cost_dollars": 0.02}) for n in range(20)]
    assert [change.metric for change in compare(candidate, incumbent).regressed] == ["cost_dollars"]


def test_abstentions_are_counted_as_information_retrieval_counts() -> None:
    truth = [(True, True), (True, False), (False, True), (False, False)]
    found = [outcome(n, 1.0, unanswerable=wanted, abstained=said) for n, (wanted, said) in enumerate(truth)]
    known = estimates(found)["assistant"]
    assert [known[f"abstention_{name}"].value for name in ("precision", "recall", "f1")] == [0.5, 0.5, 0.5]


def test_what_is_unknown_is_no_metric() -> None:
    known = estimates([outcome(1, 1.0, scores={})])["assistant"]
    assert set(known) == {"completion"}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_an_interval_holds_its_value_and_is_the_same_each_time(scores: list[float]) -> None:
    cases = [outcome(number, score) for number, score in enumerate(scores)]
    first, second = estimates(cases), estimates(cases)
    found = first["assistant"]["containment"]
    assert first == second
    assert found.low - 1e-9 <= found.value <= found.high + 1e-9
    assert found.cases == len(scores)


def test_ratios_divide_the_sums_of_the_cases() -> None:
    rows = sums(answered([True, False, True, True]), list(METRICS))
    values = dict(zip(METRICS, ratios(rows.sum(axis=0)), strict=True))
    assert values["containment"] == 0.75
