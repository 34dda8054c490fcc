"""promptfoo's configuration: `tests` with `vars` and assertions on the output."""

from collections.abc import Iterator
from typing import Any, cast

from kowai.decoding import decode
from kowai.errors import BadRecord
from kowai.suite_formats import Files, Format
from kowai.suite_formats.native import YAML_SUFFIXES, loaded, mapping
from kowai.suites import BadSuite, ParsedSuite, Raw, collected

QUESTION_VARS = ("question", "query", "input", "prompt", "message")
ANSWERS = ("equals", "similar", "levenshtein", "factuality", "answer-relevance")
FACTS = ("contains", "icontains")
FACT_LISTS = ("contains-all", "icontains-all")
ANSWER_LISTS = ("contains-any", "icontains-any")


def recognises(files: Files) -> bool:
    if len(files) != 1:
        return False
    ((path, data),) = files.items()
    return path.lower().endswith(YAML_SUFFIXES) and b"\ntests:" in b"\n" + data


def read(files: Files, name: str) -> ParsedSuite:
    """Return a case a test: `equals` and `similar` are answers, `contains` is a fact; other assertions are left out.

    Raises BadSuite, NoCases and TooManyCases.
    """
    path, data = next(iter(files.items()))
    top = mapping(loaded(decode(data, path), path), path)
    tests = top.get("tests")
    if not isinstance(tests, list):
        raise BadSuite(f"{path} has no list `tests`; tests in other files are not followed.")
    described = {"name": name, "description": str(top.get("description") or f"Imported from {path}.")}
    return collected(described, _records(cast("list[Any]", tests), path))


def _records(tests: list[Any], path: str) -> Iterator[Raw]:
    for number, test in enumerate(tests, 1):
        where = f"Test {number:,} of {path}"
        if not isinstance(test, dict) or not isinstance(cast("dict[str, Any]", test).get("vars"), dict):
            yield where, BadRecord(f"{where} has no `vars`.")
            continue
        yield where, _case(cast("dict[str, Any]", test), number, where)


def _case(test: dict[str, Any], number: int, where: str) -> dict[str, Any] | BadRecord:
    given: dict[str, Any] = test["vars"]
    question = next((given[name] for name in QUESTION_VARS if isinstance(given.get(name), str)), None)
    texts = [value for value in given.values() if isinstance(value, str)]
    question = question or (texts[0] if len(texts) == 1 else None)
    if question is None:
        return BadRecord(f"{where} has no question: name a variable `question`.")
    case: dict[str, Any] = {"id": f"test-{number}", "question": question, "answers": [], "facts": []}
    checks = test.get("assert")
    for check in cast("list[Any]", checks) if isinstance(checks, list) else []:
        if isinstance(check, dict):
            _add(case, cast("dict[str, Any]", check))
    if isinstance(test.get("description"), str):
        case["tags"] = [test["description"]]
    return case


def _add(case: dict[str, Any], check: dict[str, Any]) -> None:
    kind, value = check.get("type"), check.get("value")
    if kind in ANSWERS and isinstance(value, str | int | float):
        case["answers"].append(str(value))
    elif kind in FACTS and isinstance(value, str | int | float):
        case["facts"].append(str(value))
    elif kind in (*FACT_LISTS, *ANSWER_LISTS) and isinstance(value, list):
        case["facts" if kind in FACT_LISTS else "answers"] += [str(one) for one in cast("list[Any]", value)]


FORMAT = Format("promptfoo YAML with `tests`", recognises, read)
