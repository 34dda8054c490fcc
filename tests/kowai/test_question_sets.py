"""Files of questions: a bad line is named and costs itself alone."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kowai.errors import InvalidInput, NotText, TooLarge
from kowai.question_sets import MOST_QUESTIONS, NoQuestions, TooManyQuestions, read_file, read_rows

words = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Zs")), min_size=1, max_size=40)
questions = words.map(str.strip).filter(lambda text: any(map(str.isalnum, text)))


def test_a_csv_file_is_read_by_its_heading() -> None:
    data = b'Id,Question,note\na,How long?,x\nb,"Two\nlines, one question?",y\n\nc,Why?\n'
    parsed = read_file(data, "q.csv")
    assert parsed.bad == []
    assert [(q.line, q.key, q.text) for q in parsed.questions] == [
        (2, "a", "How long?"),
        (3, "b", "Two\nlines, one question?"),
        (6, "c", "Why?"),
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_told_from_the_heading(delimiter: str) -> None:
    parsed = read_file(f"id{delimiter}question\n7{delimiter}Why?\n".encode("utf-8-sig"), "q.csv")
    assert [(q.key, q.text) for q in parsed.questions] == [("7", "Why?")]


def test_without_a_heading_each_line_is_a_question() -> None:
    parsed = read_file(b"How long is green tea steeped?\nWhy, and when?\n", "q.txt")
    assert [(q.key, q.text) for q in parsed.questions] == [
        ("1", "How long is green tea steeped?"),
        ("2", "Why, and when?"),
    ]


def test_bad_lines_are_named_and_the_rest_is_kept() -> None:
    data = b'id,question\na,Good?\nb,"never closed\nc,Fine?\nd,too,many\na,Again?\ne,\nf,bell \x07 rings\n'
    data += b'g,"a" b\nh,Last?\n'
    parsed = read_file(data, "q.csv")
    assert [q.key for q in parsed.questions] == ["a", "c", "h"]
    assert [(bad.line, bad.error.code) for bad in parsed.bad] == [
        (3, "bad_record"),
        (5, "bad_record"),
        (6, "duplicate_id"),
        (7, "question_empty"),
        (8, "question_unreadable"),
        (9, "bad_record"),
    ]
    assert all(f"Line {bad.line} of q.csv" in bad.error.sentence for bad in parsed.bad)


def test_json_lines_are_read_and_their_bad_lines_named() -> None:
    lines = ['{"id": "a", "question": "Why?"}', "{broken", '{"_id": 7, "text": "When?"}', "[]", '{"id": "x"}']
    parsed = read_file("\n".join(lines).encode(), "q.jsonl")
    assert [(q.key, q.text) for q in parsed.questions] == [("a", "Why?"), ("7", "When?")]
    assert [(bad.line, bad.error.code) for bad in parsed.bad] == [
        (2, "bad_record"),
        (4, "bad_record"),
        (5, "bad_record"),
    ]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", NoQuestions),
        (b"id,question\n", NoQuestions),
        (b"id,question\n,\n1,   \n", NoQuestions),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), NotText),
        (b"id,question\n" + b"x,Why?\n" * 3, None),
        (b"question\n" + b"".join(b"Why %d?\n" % n for n in range(100_000)), TooManyQuestions),
        (b"x" * 50_000_001, TooLarge),
    ],
    ids=["empty", "heading only", "blank cells", "binary", "same id", "100,000 questions", "too many bytes"],
)
def test_what_is_no_set_of_questions_is_refused(data: bytes, kind: type[Exception] | None) -> None:
    if kind is None:
        assert len(read_file(data, "q.csv").questions) == 1
        return
    with pytest.raises(kind):
        read_file(data, "q.csv")


def test_marks_that_are_never_closed_cost_their_lines_alone() -> None:
    data = b"question\n" + b'"open\nfine?\n' * 3 + b'"open\n'
    parsed = read_file(data, "q.csv")
    assert len(parsed.questions) + len(parsed.bad) >= 1


def test_rows_may_be_texts_or_objects() -> None:
    parsed = read_rows(["Why?", {"id": "b", "question": "When?"}])
    assert [(q.key, q.text) for q in parsed.questions] == [("1", "Why?"), ("b", "When?")]
    with pytest.raises(InvalidInput):
        read_rows([])
    assert MOST_QUESTIONS == 50_000


@given(st.lists(questions, min_size=1, max_size=20))
def test_what_a_csv_writer_wrote_is_read_back(texts: list[str]) -> None:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(["id", "question"])
    writer.writerows((f"k{n}", text) for n, text in enumerate(texts))
    assert [q.text for q in read_file(buffer.getvalue().encode(), "q.csv").questions] == texts


@given(st.lists(questions, min_size=1, max_size=20))
def test_what_json_wrote_is_read_back(texts: list[str]) -> None:
    lines = [json.dumps({"id": n, "question": text}) for n, text in enumerate(texts)]
    assert [q.text for q in read_file("\n".join(lines).encode(), "q.jsonl").questions] == texts


@given(st.binary(max_size=400))
def test_any_bytes_are_questions_bad_lines_or_one_typed_error(data: bytes) -> None:
    try:
        parsed = read_file(data, "q.csv")
    except (InvalidInput, NotText):
        return
    assert parsed.questions
