"""OpenAI evals' samples: a JSON object a line with `input`, messages, and `ideal`, one answer or several."""

from collections.abc import Iterator
from typing import Any, cast

from kowai.decoding import decode
from kowai.errors import BadRecord, KowaiError
from kowai.jsonl import parsed_object
from kowai.suite_formats import Files, Format
from kowai.suite_formats.native import LINE_SUFFIXES
from kowai.suites import ParsedSuite, Raw, collected


def recognises(files: Files) -> bool:
    if len(files) != 1:
        return False
    ((path, data),) = files.items()
    return path.lower().endswith(LINE_SUFFIXES) and b'"input"' in data.partition(b"\n")[0]


def read(files: Files, name: str) -> ParsedSuite:
    """Return a case a sample: the last user's message is the question. Raises NoCases and TooManyCases."""
    path, data = next(iter(files.items()))
    return collected({"name": name, "description": f"Imported from {path}."}, _records(decode(data, path), path))


def _records(text: str, path: str) -> Iterator[Raw]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        where = f"Line {number:,} of {path}"
        try:
            yield where, _case(parsed_object(line.encode(), where), number, where)
        except KowaiError as error:
            yield where, error


def _case(sample: dict[str, Any], number: int, where: str) -> dict[str, Any]:
    question = _question(sample.get("input"))
    if question is None:
        raise BadRecord(f"{where} has no `input` with a user's message.")
    ideal = sample.get("ideal")
    answers = cast("list[Any]", ideal) if isinstance(ideal, list) else [] if ideal is None else [ideal]
    return {"id": f"line-{number}", "question": question, "answers": [str(one) for one in answers]}


def _question(given: Any) -> str | None:
    if isinstance(given, str):
        return given
    messages = cast("list[Any]", given) if isinstance(given, list) else []
    spoken = [cast("dict[str, Any]", one) for one in messages if isinstance(one, dict)]
    said = [one.get("content") for one in spoken if one.get("role") == "user"]
    return said[-1] if said and isinstance(said[-1], str) else None


FORMAT = Format("OpenAI evals JSON Lines with `input` and `ideal`", recognises, read)
