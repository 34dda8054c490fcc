"""Sentences are found where readers see them, with exact places, in any text at all."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kowai.sentences import LONGEST, sentence_spans

PIECES = st.sampled_from(
    [
        ". ",
        "! ",
        "? ",
        "。",
        "\n",
        "\n\n",
        "```\n",
        "# ",
        "- ",
        "1. ",
        "| a | b |\n",
        "Dr. ",
        "3.14",
        "\t",
        " ",
        "e.g. ",
        '"',
        "[1]",
    ]
)
TEXTS = st.one_of(st.text(), st.lists(st.one_of(PIECES, st.text(max_size=8)), max_size=40).map("".join))


def sentences(text: str) -> list[str]:
    return [text[span.start : span.end] for span in sentence_spans(text)]


@given(TEXTS)
def test_spans_are_ordered_disjoint_trimmed_and_cover_all_but_space(text: str) -> None:
    spans = sentence_spans(text)
    covered = "".join(text[span.start : span.end] for span in spans)
    assert all(one.end <= other.start for one, other in itertools.pairwise(spans))
    assert all(0 < span.end - span.start <= LONGEST for span in spans)
    assert all(text[span.start : span.end] == text[span.start : span.end].strip() for span in spans)
    assert "".join(covered.split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dr. Smith left. He was e.g. tired.", ["Dr. Smith left.", "He was e.g. tired."]),
        ("It costs $3.50 today. Pay by Jan. 5, 1990.", ["It costs $3.50 today.", "Pay by Jan. 5, 1990."]),
        ("J. R. Tolkien wrote it. The U.S. Navy read it.", ["J. R. Tolkien wrote it.", "The U.S. Navy read it."]),
        ("Take vitamin C. The end.", ["Take vitamin C.", "The end."]),
        ('"Really?" he asked. Yes! No.', ['"Really?" he asked.', "Yes!", "No."]),
        ("He said so.[12] She did not.", ["He said so.[12]", "She did not."]),
        ("你好。我是谁？他说好。", ["你好。", "我是谁？", "他说好。"]),
        ("See No. 5 and Fig. 3. No. It is not.", ["See No. 5 and Fig. 3.", "No.", "It is not."]),
    ],
)
def test_a_full_stop_ends_a_sentence_only_when_it_means_to(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_a_line_that_a_page_broke_is_joined_and_a_list_is_not() -> None:
    text = "The committee that was set up\nin 1998 met once a year for\nlunch. It rained.\n\n- one item\n- another item"
    joined = "The committee that was set up\nin 1998 met once a year for\nlunch."
    assert sentences(text) == [joined, "It rained.", "- one item", "- another item"]


def test_headings_fields_table_rows_and_code_stand_alone() -> None:
    text = "# Contact\nPhone: 12\nFax: 13\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```\nx = 1. Foo\ny = 2\n```\nDone."
    code = "```\nx = 1. Foo\ny = 2\n```"
    assert sentences(text) == [
        "# Contact",
        "Phone: 12",
        "Fax: 13",
        "| a | b |",
        "|---|---|",
        "| 1 | 2 |",
        code,
        "Done.",
    ]


@pytest.mark.parametrize("unit", ["a", ".", " x", "\t", "-", '."', "[1]", "```\n", "A.", "\n ", "| ", "。", "\x00"])
def test_a_long_monotonous_text_is_cut_without_delay(unit: str) -> None:
    text = unit * 50_000
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())
