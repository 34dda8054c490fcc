"""Metrics are in [0, 1], agree with their published definitions and reward what is better."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kowai.metrics import (
    containment,
    exact_match,
    kappa,
    ndcg_at,
    precision,
    recall_at,
    reciprocal_rank,
    token_f1,
)

DOCUMENTS = st.lists(st.sampled_from("abcdefghij"), unique=True)
GRADES = st.dictionaries(st.sampled_from("abcdefghij"), st.integers(0, 4), min_size=1)


def test_answers_are_compared_as_squad_compares_them() -> None:
    assert exact_match("The Eiffel Tower! [1]", ["eiffel tower"]) == 1
    assert exact_match("Eiffel", ["Eiffel Tower"]) == 0
    assert token_f1("the big Eiffel Tower", ["Eiffel Tower", "no"]) == pytest.approx(0.8)
    assert token_f1("", ["x"]) == token_f1("x", []) == 0


def test_containment_asks_for_every_fact_and_any_answer() -> None:
    said = "Documents may have 100 million bytes [1]."
    assert containment(said, [], ["100 million bytes"]) == 1
    assert containment(said, [], ["00 million"]) == 0, "only whole words count"
    assert containment(said, ["100 million", "one"], ["pages"]) == 0.5


def test_rankings_are_scored_by_the_published_formulas() -> None:
    relevant = {"a": 1, "b": 2}
    assert recall_at(1, ["b", "a"], relevant) == 0.5
    assert ndcg_at(10, ["b", "a"], relevant) == 1
    assert ndcg_at(10, ["x", "b"], relevant) == pytest.approx((2 / math.log2(3)) / (2 + 1 / math.log2(3)))
    assert reciprocal_rank(["x", "a"], relevant) == 0.5
    assert reciprocal_rank(["x"], relevant) == 0
    assert precision(["a", "x", "x", "b"], relevant) == 0.5


@given(DOCUMENTS, GRADES, st.integers(1, 12))
def test_every_ranking_metric_is_a_share(ranked: list[str], grades: dict[str, int], k: int) -> None:
    for score in (recall_at(k, ranked, grades), ndcg_at(k, ranked, grades), reciprocal_rank(ranked, grades)):
        assert 0 <= score <= 1 + 1e-9


@given(GRADES)
def test_no_order_beats_that_of_the_grades(grades: dict[str, int]) -> None:
    best = sorted(grades, key=lambda document: -grades[document])
    assert ndcg_at(10, best, grades) == pytest.approx(1 if any(grades.values()) else 0)


@given(st.text(), st.lists(st.text(), max_size=3))
def test_every_answer_metric_is_a_share_of_any_text(answer: str, expected: list[str]) -> None:
    for score in (exact_match(answer, expected), token_f1(answer, expected), containment(answer, expected, expected)):
        assert 0 <= score <= 1


def test_kappa_takes_chance_away_and_is_unknown_where_chance_explains_all() -> None:
    assert kappa([True, False, True, False], [True, False, True, False]) == 1
    assert kappa([True, True, False, False], [True, False, True, False]) == 0
    assert kappa([True, True], [True, True]) is None
    assert kappa([], []) is None
