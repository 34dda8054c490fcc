"""Text becomes the words that are indexed."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kowai.terms import LONGEST, counted, known_as, plain_words, words


def test_case_and_accents_do_not_count() -> None:
    assert words("Café CAFÉ cafe") == ["cafe"] * 3
    assert words("Straße ﬁne") == ["strasse", "fine"]


def test_punctuation_and_underscores_separate_words() -> None:
    assert words("set-off, max_width (3.5 %)") == ["set", "off", "max", "width", "3", "5"]


def test_a_compound_is_found_whole_and_by_its_parts() -> None:
    assert words("parseJSON2") == ["parsejson2", "parse", "json", "2"]
    assert words("HTTPServer") == ["httpserver", "http", "server"]
    assert words("covid19") == ["covid19", "covid", "19"]


def test_ordinary_words_have_no_parts() -> None:
    assert words("Paris NASA 1973 naïve") == ["paris", "nasa", "1973", "naive"]


def test_scripts_without_spaces_become_overlapping_pairs() -> None:
    assert words("東京都の天気") == ["東京", "京都", "都の", "の天", "天気"]
    assert words("日 한국어") == ["日", "한국", "국어"]


def test_scripts_may_be_mixed_in_one_text() -> None:
    assert words("GPT4 は東京") == ["gpt4", "gpt", "4", "は東", "東京"]


def test_a_word_counts_as_often_as_its_text_weighs() -> None:
    assert counted(("Oil crisis", 2), ("", 2), ("The oil", 1)) == {"oil": 3, "crisis": 2, "the": 1}


@pytest.mark.parametrize(
    ("title", "name", "called"),
    [
        ("Annual Report", "x.pdf", "Annual Report"),
        (None, "/data/nordwind-ag_2019.final.pdf", "nordwind ag 2019 final"),
        ("", "https://example.org/docs/QuantaSystems2021.html", "QuantaSystems 2021"),
        (None, "C:\\reports\\Blue Harbor 2020.docx", "Blue Harbor 2020"),
        (None, "paragraph-17", "paragraph 17"),
        (None, "8f14e45f", ""),
        (None, "56be4db0acb8001400a502ec", ""),
        (None, "", ""),
    ],
)
def test_a_document_without_a_title_is_called_by_the_words_of_its_file_name(
    title: str | None, name: str, called: str
) -> None:
    assert known_as(title, name) == called


def test_plain_words_keep_their_order() -> None:
    assert plain_words("When did parseJSON2 fail in Café?") == ["when", "did", "parsejson2", "fail", "in", "cafe"]


@given(st.text())
def test_every_word_is_short_not_empty_and_holds_no_white_space(text: str) -> None:
    assert all(0 < len(word) <= 3 * LONGEST and not any(c.isspace() or c == "\0" for c in word) for word in words(text))


@given(st.text(), st.text())
def test_a_text_holds_the_words_of_both_its_halves(first: str, second: str) -> None:
    assert counted((f"{first} {second}", 1)) == counted((first, 1), (second, 1))


@given(st.from_regex(r"[a-z]{1,20}", fullmatch=True))
def test_a_plain_word_is_itself_in_any_case(word: str) -> None:
    assert words(word.upper())[0] == words(word.title())[0] == word


@given(st.text(st.characters(max_codepoint=127)))
def test_words_in_ascii_are_runs_of_letters_and_digits(text: str) -> None:
    assert plain_words(text) == re.findall(r"[^\W_]+", text.casefold())
