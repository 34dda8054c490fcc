"""A question becomes two statements whose parameters hold whatever it said."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kowai.search
from kowai.filters import Filters
from kowai.search import Survey, Term, find, survey, surveyed, weigh

ALL = Filters()


def known(*terms: Term, chunks: int = 1000, vectors: int = 1000, scope: int | None = None) -> Survey:
    return Survey(terms, chunks, 50 * chunks, vectors, chunks if scope is None else scope, 1)


def term(text: str, chunks: int, asked: int = 1) -> Term:
    return Term(text, [text], asked, chunks, chunks)


def test_a_question_travels_as_parameters() -> None:
    sql, parameters = survey("Robert'); drop table chunk;-- 100%", ALL, space="toy", dimensions=2)
    assert "robert" not in sql.casefold()
    assert parameters["words"] == ["robert", "drop", "table", "chunk", "100"]


def test_a_word_asked_twice_is_counted_twice() -> None:
    _, parameters = survey("tea or no tea", ALL, space="toy", dimensions=2)
    assert dict(zip(parameters["words"], parameters["counts"], strict=True)) == {"tea": 2, "or": 1, "no": 1}


def test_the_survey_tells_the_collection_from_the_question_s_terms() -> None:
    rows = [("oil", ["oil", "oils"], 2, 7, 9, None, 1, 500), ("", None, 1, 40, 3000, None, 1, 500)]
    assert surveyed(rows) == Survey([Term("oil", ["oil", "oils"], 2, 7, 9)], 40, 3000, 500, 40, 1)


def test_a_term_that_no_chunk_holds_is_left_out() -> None:
    rows = [("", None, 1, 40, 3000, 12, 1, -1), ("xyzzy", ["xyzzy"], 1, 0, 0, 12, 1, -1)]
    assert surveyed(rows) == Survey([], 40, 3000, 0, 12, 1)


def test_rare_terms_weigh_more_and_are_read_first() -> None:
    weighted = weigh("the embargo", known(term("common", 900), term("embargo", 3)))
    assert weighted.terms == ["embargo", "common"]
    assert weighted.weights[0] == pytest.approx(math.log(1 + 997.5 / 3.5))


def test_terms_are_read_in_full_while_the_budget_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kowai.search, "POSTINGS", 100)
    assert weigh("", known(term("a", 60), term("b", 30), term("c", 20))).affordable == 2
    assert weigh("", known(term("a", 600))).affordable == 0


def test_a_term_of_more_than_half_the_chunks_proposes_none_unless_it_is_all_there_is() -> None:
    assert weigh("", known(term("a", 501), term("b", 500), term("c", 3))).affordable == 2
    assert weigh("", known(term("a", 900), term("b", 901))).affordable == 1


def test_a_statement_reads_one_term_at_least(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kowai.search, "POSTINGS", 100)
    survey_of_one = known(term("a", 600))
    _, parameters = find([1.0], survey_of_one, weigh("a", survey_of_one), ALL, space_id=1, pool=10)
    assert (parameters["rare"], parameters["common"]) == (["a"], ["a"])


@pytest.mark.parametrize(
    ("chunks", "vectors", "exact"),
    [(1_000, 1_000, True), (10_000, 1_000_000, True), (40_000, 1_000_000, True), (100_000, 1_000_000, False)],
)
def test_small_tenants_are_compared_vector_by_vector(chunks: int, vectors: int, exact: bool) -> None:
    assert known(chunks=chunks, vectors=vectors).exact is exact


def test_few_admitted_chunks_are_compared_one_by_one_in_any_tenant() -> None:
    large = known(term("a", 5), chunks=10**6, vectors=10**6, scope=7)
    chosen = Filters(media_types=("text/html",))
    sql, parameters = find([1.0], large, weigh("a", large), chosen, space_id=1, pool=10)
    assert "scope as materialized" in sql
    assert parameters["media_types"] == ["text/html"]


@given(st.lists(st.tuples(st.integers(1, 5000), st.integers(1, 4)), max_size=20))
def test_every_term_is_scored_exactly_once(drawn: list[tuple[int, int]]) -> None:
    terms = [term(f"t{number}", chunks, asked) for number, (chunks, asked) in enumerate(drawn)]
    survey_of_all = known(*terms, chunks=5000)
    weighted = weigh("question", survey_of_all)
    _, parameters = find([1.0], survey_of_all, weighted, ALL, space_id=1, pool=10)
    in_full = parameters["rare"] if weighted.affordable else []
    assert sorted([*in_full, *parameters["common"]]) == sorted(item.text for item in terms)
    assert all(weight > 0 for weight in weighted.weights)
    assert weighted.wanted.strong > 0
