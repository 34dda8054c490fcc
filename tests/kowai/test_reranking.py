"""A reranker puts passages in another order and can do nothing else."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kowai.reranking import RerankerFailed, most_searches, price_of, reordered, scores_of, searches_of, tokens_of

SCORES = st.floats(-1e6, 1e6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
RESULT = st.fixed_dictionaries({"index": st.integers(-2, 8) | JSON, "relevance_score": SCORES | JSON})


@given(st.lists(st.tuples(st.integers(0, 19), SCORES), min_size=1, unique_by=lambda each: each[0]), st.integers(20, 30))
def test_it_returns_the_same_passages_the_best_first(named: list[tuple[int, float]], count: int) -> None:
    passages = list(range(count))
    scores = scores_of({"results": [{"index": n, "relevance_score": score} for n, score in named]}, count)
    order = reordered(passages, scores)
    assert sorted(order) == passages
    judged, unjudged = order[: len(named)], order[len(named) :]
    assert [scores[n] for n in judged] == sorted(scores.values(), reverse=True)
    assert unjudged == sorted(set(passages) - set(scores))


@given(st.fixed_dictionaries({"results": st.lists(RESULT, max_size=6) | JSON}) | st.dictionaries(st.text(), JSON))
def test_whatever_it_replies_no_passage_is_invented_or_lost(reply: dict[str, Any]) -> None:
    passages = ["a", "b", "c", "d", "e"]
    try:
        scores = scores_of(reply, len(passages))
    except RerankerFailed:
        return
    assert sorted(reordered(passages, scores)) == passages


@pytest.mark.parametrize(
    "results",
    [
        [{"index": 0, "relevance_score": 1.0}, {"index": 0, "relevance_score": 0.5}],
        [{"index": 3, "relevance_score": 1.0}],
        [{"index": -1, "relevance_score": 1.0}],
        [{"index": True, "relevance_score": 1.0}],
        [{"index": 0, "relevance_score": float("nan")}],
        [{"index": 0, "relevance_score": "high"}],
        [],
    ],
)
def test_nonsense_is_refused(results: list[Any]) -> None:
    with pytest.raises(RerankerFailed):
        scores_of({"results": results}, 3)


def test_what_it_used_is_read_from_each_form_of_reply() -> None:
    cohere = {"meta": {"billed_units": {"search_units": 2}}}
    assert (tokens_of({"usage": {"total_tokens": 815}}), tokens_of(cohere), searches_of(cohere)) == (815, None, 2)
    assert searches_of({"meta": None}) is None


def test_a_price_that_is_not_known_is_none_and_not_nothing() -> None:
    assert price_of(None, "tokens", tokens=5, searches=5) is None
    assert price_of(Decimal("0.02"), "tokens", tokens=None, searches=1) is None
    assert price_of(Decimal(0), "tokens", tokens=None, searches=None) == 0
    assert price_of(Decimal("0.02"), "tokens", tokens=1_000_000, searches=None) == Decimal("0.02")
    assert price_of(Decimal(2), "searches", tokens=None, searches=3) == Decimal("0.006")
    assert (most_searches([400] * 100), most_searches([501] * 100)) == (1, 2)
