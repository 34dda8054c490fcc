"""Running headers and footers are told from what a page says."""

from hypothesis import given
from hypothesis import strategies as st

from kowai.running_lines import Edges, running_lines

BODY = ["Tea is grown on hills.", "It is picked by hand.", "It is dried in the sun.", "It is sold by weight."]


def test_a_line_whose_number_grows_with_the_pages_runs() -> None:
    pages = [[body, f"Guide Page {number} of 4"] for number, body in enumerate(BODY, 7)]
    assert running_lines(pages) == [Edges(0, 1)] * 4


def test_left_and_right_pages_have_their_own() -> None:
    pages = [[f"{n} Tea" if n % 2 else f"Chapter 2. Hills {n}", f"Sentence {'abcdef'[n]}."] for n in range(6)]
    assert running_lines(pages) == [Edges(1, 0)] * 6


def test_of_lines_that_are_the_same_the_first_is_kept() -> None:
    pages = [["Acme Ltd", "Confidential", body] for body in BODY]
    assert running_lines(pages) == [Edges(0, 0), *[Edges(2, 0)] * 3]


def test_what_is_the_same_on_few_pages_is_no_running_line() -> None:
    pages = [["Notes" if number < 3 else f"Title {body}", body] for number, body in enumerate(BODY)]
    assert running_lines(pages) == [Edges(0, 0)] * 4


def test_numbers_that_do_not_grow_with_the_pages_stay() -> None:
    pages = [[body, f"Total {number}"] for body, number in zip(BODY, (17, 3, 99, 40), strict=True)]
    assert running_lines(pages) == [Edges(0, 0)] * 4


def test_two_pages_are_too_few_to_tell() -> None:
    assert running_lines([["a", "Page 1"], ["b", "Page 2"]]) == [Edges(0, 0)] * 2


@given(
    st.lists(
        st.lists(st.sampled_from(["a", "1", "2", "3", "x 1", "x 2", "# #", "1 #", "1 2"]), max_size=6), max_size=12
    )
)
def test_no_page_loses_more_lines_than_it_has(pages: list[list[str]]) -> None:
    for lines, edges in zip(pages, running_lines(pages), strict=True):
        assert 0 <= edges.top + edges.bottom <= len(lines)


def test_a_hash_in_a_line_is_not_taken_for_a_number() -> None:
    pages = [["# #", "a"], ["1 2", "b"], ["# 3", "c"], ["4 #", "d"]]
    assert running_lines(pages) == [Edges(0, 0)] * 4
