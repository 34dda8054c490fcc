"""Suites are read from every form; what cannot be read is named, and the rest is kept."""

import json
from collections.abc import Callable
from importlib.resources import files as resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kowai.errors import DocumentError, InvalidInput
from kowai.suite_formats import formats, read_suite
from kowai.suites import BadSuite, NoCases, TooManyCases, collected

YAML = b"""
name: tea
persona: assistant
limits: {dollars: 0.5}
margins: {containment: 0.1}
cases:
  - {id: green, question: "How long is green tea steeped?", fact: three minutes, documents: [tea.md]}
  - {id: 7, question: "How hot?", answers: [80, eighty], documents: {tea.md: 2}, tags: hot}
  - {question: "Who is the king?", unanswerable: true}
"""
SQUAD = {
    "data": [
        {
            "title": "Tea",
            "paragraphs": [
                {
                    "context": "Green tea.",
                    "qas": [
                        {"id": "q1", "question": "Which tea?", "answers": [{"text": "green"}, {"text": "green"}]},
                        {"id": "q2", "question": "Which king?", "is_impossible": True, "answers": []},
                    ],
                }
            ],
        }
    ]
}
PROMPTFOO = b"""
description: tea
prompts: ["{{question}}"]
tests:
  - vars: {question: "Which tea?"}
    assert: [{type: equals, value: green}, {type: icontains, value: 80}, {type: cost, threshold: 1}]
  - vars: {topic: tea, style: brief}
"""
EVALS = (
    b'{"input": [{"role": "system", "content": "x"}, {"role": "user", "content": "Which tea?"}], "ideal": "green"}\n'
)
BEIR = {
    "set/queries.jsonl": b'{"_id": "1", "text": "Which tea?"}\n{"_id": "2", "text": "unjudged"}\n{broken\n',
    "set/qrels/train.tsv": b"query-id\tcorpus-id\tscore\n2\td9\t1\n",
    "set/qrels/test.tsv": b"query-id\tcorpus-id\tscore\n1\td1\t2\n1\td2\t0\nno tabs\n",
}


def test_our_own_yaml_says_everything_a_case_can_know() -> None:
    parsed = read_suite({"tea.yaml": YAML}, "file name")
    green, hot, king = parsed.suite.cases
    assert (parsed.suite.about.name, parsed.suite.about.margins, parsed.bad) == ("tea", {"containment": 0.1}, [])
    assert (green.facts, green.documents) == (("three minutes",), {"tea.md": 1})
    assert (hot.id, hot.answers, hot.documents, hot.tags) == ("7", ("80", "eighty"), {"tea.md": 2}, ("hot",))
    assert (king.id, king.unanswerable) == ("case-3", True)


def test_json_lines_hold_a_case_each() -> None:
    data = b'{"_id": "a", "question": "Which tea?", "expected": "green"}\n\nnot json\n{"id": "b"}\n'
    parsed = read_suite({"s.jsonl": data}, "s")
    assert [case.answers for case in parsed.suite.cases] == [("green",)]
    assert [bad.where for bad in parsed.bad] == ["Line 3 of s.jsonl", "Line 4 of s.jsonl"]


def test_squad_questions_keep_their_answers_and_whether_there_is_one() -> None:
    parsed = read_suite({"dev.json": json.dumps(SQUAD).encode()}, "dev")
    assert [(case.id, case.answers, case.unanswerable, case.tags) for case in parsed.suite.cases] == [
        ("q1", ("green",), False, ("Tea",)),
        ("q2", (), True, ("Tea",)),
    ]


def test_a_beir_folder_grades_documents_by_its_test_split() -> None:
    parsed = read_suite(BEIR, "set")
    assert [(case.id, case.documents) for case in parsed.suite.cases] == [("1", {"d1": 2, "d2": 0})]
    assert sorted(bad.where for bad in parsed.bad) == ["Line 3 of set/queries.jsonl", "Line 4 of set/qrels/test.tsv"]


def test_promptfoo_assertions_become_answers_and_facts() -> None:
    parsed = read_suite({"promptfooconfig.yaml": PROMPTFOO}, "p")
    (case,) = parsed.suite.cases
    assert (case.question, case.answers, case.facts) == ("Which tea?", ("green",), ("80",))
    assert [bad.where for bad in parsed.bad] == ["Test 2 of promptfooconfig.yaml"]


def test_openai_samples_ask_what_the_user_said_last() -> None:
    (case,) = read_suite({"samples.jsonl": EVALS}, "s").suite.cases
    assert (case.question, case.answers) == ("Which tea?", ("green",))


def test_the_shipped_suite_is_whole() -> None:
    data = (resources("kowai.suites") / "handbook.yaml").read_bytes()
    parsed = read_suite({"handbook.yaml": data}, "handbook")
    assert not parsed.bad
    assert len(parsed.suite.cases) >= 30
    assert any(case.unanswerable for case in parsed.suite.cases)
    assert all(case.facts and case.documents for case in parsed.suite.cases if not case.unanswerable)


def test_of_two_cases_with_one_id_the_first_is_kept_and_the_second_named() -> None:
    parsed = read_suite({"s.jsonl": b'{"id": "a", "question": "One?"}\n{"id": "a", "question": "Two?"}\n'}, "s")
    assert [case.question for case in parsed.suite.cases] == ["One?"]
    (bad,) = parsed.bad
    assert bad.error.code == "duplicate_id"
    assert "Line 1" in bad.error.sentence


def test_a_hundred_thousand_cases_are_too_many_and_a_hundred_bad_ones_are_not() -> None:
    many = ((f"Line {n}", {"id": str(n), "question": f"Why {n}?"}) for n in range(100_000))
    with pytest.raises(TooManyCases):
        collected({"name": "many"}, many)
    bad = [(f"Line {n}", {"id": str(n), "question": " "}) for n in range(100)]
    assert len(collected({"name": "some"}, [*bad, ("good", {"id": "x", "question": "Why?"})]).bad) == 100


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"s.yaml": b"cases: nothing"}, BadSuite),
        ({"s.yaml": b"\ncases: [{question: ' '}]"}, NoCases),
        ({"s.yaml": b"cases: [&a [*a]]\n"}, BadSuite),
        ({"s.yaml": b'margins: {nonsense: 1}\ncases: [{question: "Why?"}]'}, BadSuite),
        ({"s.yaml": b'limits: {dollars: -1}\ncases: [{question: "Why?"}]'}, BadSuite),
        ({"s.exe": b"MZ"}, BadSuite),
        ({}, BadSuite),
        ({"s.json": b'{"data": [], "paragraphs": 1}'}, NoCases),
        ({"a/queries.jsonl": b"", "a/qrels/test.tsv": b""}, NoCases),
    ],
)
def test_what_is_no_suite_is_refused(files: dict[str, bytes], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        read_suite(files, "s")


def test_the_same_content_has_the_same_digest() -> None:
    one, two = (read_suite({"tea.yaml": YAML}, name).suite for name in ("a", "b"))
    assert one.digest == two.digest
    assert one.digest != read_suite({"tea.yaml": YAML.replace(b"three", b"four")}, "a").suite.digest


KEYS = ["data", "paragraphs", "qas", "question", "answers", "id", "cases", "tests", "vars", "assert", "input", "ideal"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("form", list(formats()))
@given(data=st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_break_a_form(form: str, data: bytes) -> None:
    for name in ("s.yaml", "s.jsonl", "queries.jsonl"):
        _read_or_refuse({name: data, **({"qrels/test.tsv": data} if name == "queries.jsonl" else {})}, form)


def _read_or_refuse(files: dict[str, bytes], form: str) -> None:
    read: Callable[..., Any] = read_suite
    try:
        parsed = read(files, "s", form)
    except (InvalidInput, DocumentError):
        return
    assert parsed.suite.cases
