import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kowai.errors import BadRecord, DocumentTooLarge, DuplicateId, EmptyDocument
from kowai.jsonl import BadLine, Record, parse

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


def lines(*records: dict[str, Any] | bytes) -> list[bytes]:
    return [record if isinstance(record, bytes) else json.dumps(record).encode() + b"\n" for record in records]


def test_a_line_is_a_document_with_title_and_text_apart() -> None:
    found = list(parse(lines({"_id": 7, "title": "T", "text": "Body.", "metadata": {"year": 2025}, "url": "u"}), "a"))
    assert found == [Record(1, "7", "T", "Body.", {"url": "u", "year": 2025})]
    assert isinstance(found[0], Record)
    document = found[0].document()
    assert (document.title, document.text, document.metadata) == ("T", "Body.", {"url": "u", "year": 2025})


@pytest.mark.parametrize(
    ("line", "error", "sentence"),
    [
        (b"{not json}", BadRecord, "not valid JSON"),
        (b"[1, 2]", BadRecord, "not a JSON object"),
        (b'{"_id": "a"}', BadRecord, "no text"),
        (b'{"text": "a"}', BadRecord, "no _id"),
        (b'{"_id": " ", "text": "a"}', BadRecord, "no _id"),
        (b'{"_id": true, "text": "a"}', BadRecord, "no _id"),
        (b'{"_id": "a", "text": "x", "metadata": []}', BadRecord, "metadata"),
        (b'{"_id": "a", "text": "x", "title": 1}', BadRecord, "title"),
        (b'{"_id": "a", "text": "x", "metadata": {"n": NaN}}', BadRecord, "not valid JSON"),
        (b'{"_id": "a", "text": "x", "metadata": {"n": 1e999}}', BadRecord, "not valid JSON"),
        (b'{"_id": "a", "text": "caf\xe9"}', BadRecord, "not UTF-8"),
        (b"[" * 100_000, BadRecord, "not valid JSON"),
        (b'{"_id": "a", "text": " "}', EmptyDocument, "without text"),
        (b'{"_id": "a", "text": "' + b"x" * 1000 + b'"}', DocumentTooLarge, "larger"),
    ],
)
def test_a_bad_line_is_named_and_costs_no_other(line: bytes, error: type[Exception], sentence: str) -> None:
    good = {"_id": "good", "text": "Good."}
    limit = 150_000 if line.startswith(b"[") else 500
    found = list(parse(lines(good, line, {**good, "_id": "next"}), "docs.jsonl", limit))
    assert [type(item) for item in found] == [Record, BadLine, Record]
    assert isinstance(found[1], BadLine)
    assert isinstance(found[1].error, error)
    assert found[1].error.sentence.startswith("Line 2 of docs.jsonl")
    assert sentence in found[1].error.sentence


def test_the_later_of_two_lines_with_the_same_id_is_an_error() -> None:
    found = list(parse(lines({"_id": "1", "text": "a"}, b"\n", {"_id": 1, "text": "b"}), "docs.jsonl"))
    assert isinstance(found[0], Record)
    assert isinstance(found[1], BadLine)
    assert isinstance(found[1].error, DuplicateId)
    assert "Line 3" in found[1].error.sentence
    assert "line 1" in found[1].error.sentence


def test_texts_are_canonical_in_every_field() -> None:
    line = b'{"_id": "1", "text": "a\\u0000\\r\\nb\\ud800", "metadata": {"k\\u0000": ["v\\u0000"]}}'
    assert list(parse([line], "a")) == [Record(1, "1", None, "a\nb", {"k": ["v"]})]


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    assert list(parse([b'\xef\xbb\xbf{"_id": "1", "text": "a"}'], "a")) == [Record(1, "1", None, "a", {})]


@given(st.lists(st.dictionaries(st.sampled_from(["_id", "text", "title", "metadata", "x"]), JSON), max_size=8))
def test_every_line_gives_one_record_or_one_error(records: list[dict[str, Any]]) -> None:
    found = list(parse(lines(*records), "a"))
    assert [item.line for item in found] == list(range(1, len(records) + 1))


@given(st.lists(st.binary(max_size=60).filter(lambda line: line.strip()), max_size=5))
def test_any_bytes_are_survived(raw: list[bytes]) -> None:
    assert len(list(parse(raw, "a"))) == len(raw)
