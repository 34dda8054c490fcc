"""KowAI's own form: a YAML file with `cases`, or a JSON object a line."""

from collections.abc import Iterator
from typing import Any, cast

from kowai.decoding import decode
from kowai.errors import BadRecord, KowaiError
from kowai.jsonl import parsed_object
from kowai.plain_yaml import load
from kowai.suite_formats import Files, Format
from kowai.suites import BadSuite, ParsedSuite, Raw, collected

YAML_SUFFIXES, LINE_SUFFIXES = (".yaml", ".yml"), (".jsonl", ".ndjson")
SINGULAR = {"answer": "answers", "expected": "answers", "fact": "facts", "document": "documents", "tag": "tags"}


def recognises(files: Files) -> bool:
    if len(files) != 1:
        return False
    ((path, data),) = files.items()
    if path.lower().endswith(YAML_SUFFIXES):
        return b"\ncases:" in b"\n" + data
    return path.lower().endswith(LINE_SUFFIXES) and b'"question"' in data.partition(b"\n")[0]


def read(files: Files, name: str) -> ParsedSuite:
    """Return the suite of one file. Raises BadSuite, NoCases and TooManyCases."""
    path, data = next(iter(files.items()))
    text = decode(data, path)
    if path.lower().endswith(LINE_SUFFIXES):
        return collected({"name": name}, lines(text, path))
    about = mapping(loaded(text, path), path)
    cases = about.pop("cases", None)
    if not isinstance(cases, list):
        raise BadSuite(f"{path} has no list `cases`.")
    return collected({"name": name} | about, _records(cast("list[Any]", cases), path))


def loaded(text: str, path: str) -> Any:
    """Return what the YAML text says, plain values only. Raises BadSuite."""
    return load(text, path, BadSuite)


def mapping(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadSuite(f"{path} is no mapping of names to values.")
    return {str(key): one for key, one in cast("dict[Any, Any]", value).items()}


def lines(text: str, path: str) -> Iterator[Raw]:
    """Yield the object of each line that holds one, and the error of each that does not."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            where = f"Line {number:,} of {path}"
            try:
                yield where, case_of(parsed_object(line.encode(), where), f"line-{number}")
            except KowaiError as error:
                yield where, error


def _records(cases: list[Any], path: str) -> Iterator[Raw]:
    for number, case in enumerate(cases, 1):
        where = f"Case {number:,} of {path}"
        if isinstance(case, dict):
            yield where, case_of({str(key): one for key, one in cast("dict[Any, Any]", case).items()}, f"case-{number}")
        else:
            yield where, BadRecord(f"{where} is no mapping of names to values.")


def case_of(record: dict[str, Any], fallback: str) -> dict[str, Any]:
    """Return the record with the names and shapes a case has: one value for a list, a list for graded documents."""
    record.setdefault("id", record.pop("_id", fallback))
    made: dict[str, Any] = {}
    for key, value in record.items():
        name = SINGULAR.get(key, key)
        if value is None:
            continue
        made[name] = _listed(value) if name in ("answers", "facts", "tags") else value
    if isinstance(made.get("id"), int) and not isinstance(made["id"], bool):
        made["id"] = str(made["id"])
    documents = made.get("documents")
    if isinstance(documents, str | list):
        made["documents"] = {str(one): 1 for one in _listed(documents)}
    return made


def _listed(value: Any) -> list[Any]:
    values = cast("list[Any]", value) if isinstance(value, list) else [value]
    return [str(one) if isinstance(one, int | float) and not isinstance(one, bool) else one for one in values]


FORMAT = Format("YAML with `cases`, or JSON Lines with `question`", recognises, read)
