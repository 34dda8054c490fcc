"""Candidates come out in the order that both halves of the evidence support."""

from uuid import UUID, uuid4

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from kowai.ranking import Candidate, Wanted, diversify, phrases, rank, with_feedback

WANTED = Wanted("oil price", ["oil", "price"], {"oil": 2.0, "price": 2.0}, 4.0, 8.0)


def candidate(
    number: int, dense: float | None, lexical: float, text: str = "", document: UUID | None = None
) -> Candidate:
    place = (f"{number}.md", None, 1, None, 0, len(text), "")
    return Candidate(number, document or uuid4(), *place, text, dense, lexical)


def apart(count: int) -> NDArray[np.float32]:
    """Return vectors that have nothing in common."""
    return np.eye(count, 16, dtype=np.float32)


def test_a_passage_that_both_halves_support_comes_first() -> None:
    found = [candidate(1, 0.8, 0.0), candidate(2, 0.7, 6.0), candidate(3, 0.1, 6.5)]
    assert [chunk.chunk_id for chunk, _ in rank(found, apart(3), WANTED, 3)] == [2, 1, 3]


def test_a_passage_without_a_vector_is_still_found_by_its_words() -> None:
    found = [candidate(1, None, 8.0), candidate(2, 0.1, 0.0)]
    assert rank(found, apart(2), WANTED, 1)[0][0].chunk_id == 1


def test_the_same_match_scores_the_same_whatever_else_was_found() -> None:
    match, other = candidate(1, 0.6, 4.0), candidate(2, 0.1, 1.0)
    (_, alone), *_ = rank([match, candidate(3, 0.0, 0.0)], apart(2), WANTED, 1)
    (_, among), *_ = rank([match, other], apart(2), WANTED, 1)
    assert alone == among


def test_words_that_stand_together_as_asked_count_more_than_words_apart() -> None:
    together = candidate(1, 0.5, 4.0, "The price rose. The oil price fell.")
    apart_from = candidate(2, 0.5, 4.0, "The price of everything that we know rose, and so did that of oil.")
    kept = phrases([together, apart_from], np.array([1.0, 1.0]), WANTED)
    assert kept[0] > kept[1] == 0.0


def test_a_passage_that_says_what_a_thing_is_comes_first_where_just_that_is_asked() -> None:
    named = [
        candidate(1, 0.6, 0.0, "Kelp is farmed. Use the kelp."),
        candidate(2, 0.4, 0.0, "A guide.\nKelp is an alga."),
    ]
    for question, best in [("What is kelp?", 2), ("Where is kelp farmed?", 1)]:
        wanted = WANTED._replace(question=question)
        assert rank(named, apart(2), wanted, 2)[0][0].chunk_id == best


def test_likeness_to_the_best_candidates_lifts_a_passage() -> None:
    vectors = apart(4)
    vectors[3] = vectors[0]
    moved = with_feedback(np.array([0.9, 0.8, 0.3, 0.3]), np.array([0.9, 0.8, 0.3, 0.3]), vectors)
    assert moved[3] > moved[2]


def test_a_second_passage_of_a_short_document_gives_way_to_another_document() -> None:
    short, other = uuid4(), uuid4()
    assert [index for index, _ in diversify(np.array([1.0, 0.9, 0.7]), [short, short, other], 3)] == [0, 2, 1]


def test_one_long_document_may_fill_the_list() -> None:
    long, other = uuid4(), uuid4()
    evidence = np.linspace(1.0, 0.8, 20).tolist()
    chosen = diversify(np.array([*evidence, 0.3]), [*[long] * 20, other], 10)
    assert {index for index, _ in chosen} == set(range(10))


def test_nothing_found_ranks_as_nothing() -> None:
    assert rank([], np.zeros((0, 16), np.float32), WANTED, 10) == []


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 40), st.integers(0, 3)), min_size=1, max_size=30), st.data())
def test_ranking_lists_k_different_passages_with_falling_scores(
    drawn: list[tuple[float, float, int]], data: st.DataObject
) -> None:
    documents = [uuid4() for _ in range(4)]
    found = [
        candidate(number, dense, lexical, f"oil price {number}", documents[which])
        for number, (dense, lexical, which) in enumerate(drawn)
    ]
    k = data.draw(st.integers(1, 40))
    ranked = rank(found, np.ones((len(found), 4), np.float32) / 2, WANTED, k)
    scores = [score for _, score in ranked]
    assert len({chunk.chunk_id for chunk, _ in ranked}) == len(ranked) == min(k, len(found))
    assert scores == sorted(scores, reverse=True)
    assert all(0.0 <= score <= 1.0 for score in scores)
