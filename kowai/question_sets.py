"""Many questions in one file: CSV with a heading, or a JSON object per line; a bad line costs itself alone."""

import csv
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from kowai.decoding import decode
from kowai.errors import BadRecord, DuplicateId, InvalidInput, KowaiError, TooLarge
from kowai.jsonl import SUFFIXES, parsed_object
from kowai.questions import checked_question

MOST_QUESTIONS = 50_000
MOST_BYTES = 50_000_000
LONGEST_KEY = 200
LONGEST_RECORD = 200  # lines; a quotation mark that is never closed must not swallow the file
DELIMITERS = ",;\t|"
QUESTION_FIELDS = ("question", "query", "text")
KEY_FIELDS = ("id", "_id", "key")


class NoQuestions(InvalidInput):
    code = "no_questions"


class TooManyQuestions(TooLarge):
    code = "too_many_questions"


class SetQuestion(NamedTuple):
    """Hold a question and the id its owner knows it by; `line` counts from 1."""

    line: int
    key: str
    text: str


class BadLine(NamedTuple):
    """Hold why line `line` (from 1) gives no question."""

    line: int
    error: KowaiError


class Parsed(NamedTuple):
    questions: list[SetQuestion]
    bad: list[BadLine]


Raw = tuple[int, dict[str, Any] | KowaiError]


def read_file(data: bytes, name: str) -> Parsed:
    """Return the questions of a CSV or JSON Lines file. Raises NotText, TooLarge and NoQuestions."""
    if len(data) > MOST_BYTES:
        raise TooLarge(f"{name} is larger than the {MOST_BYTES // 1_000_000} MB that are read: split it.")
    text = decode(data, name).replace("\r", "\n")
    is_jsonl = name.lower().endswith(tuple(SUFFIXES)) or text.lstrip().startswith("{")
    return collected(_json_lines(text, name) if is_jsonl else _csv_rows(text, name), name)


def read_rows(rows: Iterable[str | dict[str, Any]], name: str = "questions") -> Parsed:
    """Return the questions of a table typed in or sent as JSON."""
    return collected(((n, {"question": row} if isinstance(row, str) else row) for n, row in enumerate(rows, 1)), name)


def collected(rows: Iterable[Raw], name: str) -> Parsed:
    """Check each row; of two with the same id the first is kept. Raises NoQuestions and TooManyQuestions."""
    parsed, seen = Parsed([], []), dict[str, int]()
    for line, row in rows:
        try:
            found = _question(line, row, f"Line {line:,} of {name}")
            if found.key in seen:
                raise DuplicateId(f"Line {line:,} of {name} repeats the id {found.key!r} of line {seen[found.key]:,}.")
        except KowaiError as error:
            parsed.bad.append(BadLine(line, error))
            continue
        seen[found.key] = line
        parsed.questions.append(found)
        if len(parsed.questions) > MOST_QUESTIONS:
            raise TooManyQuestions(f"{name} holds more than {MOST_QUESTIONS:,} questions: split it.")
    if not parsed.questions:
        why = f": {parsed.bad[0].error.sentence}" if parsed.bad else "."
        raise NoQuestions(f"{name} holds no question that could be asked{why}")
    return parsed


def _question(line: int, row: dict[str, Any] | KowaiError, where: str) -> SetQuestion:
    if isinstance(row, KowaiError):
        raise row
    text = next((row[field] for field in QUESTION_FIELDS if row.get(field) is not None), None)
    key = next((row[field] for field in KEY_FIELDS if row.get(field) not in (None, "")), line)
    if not isinstance(text, str):
        raise BadRecord(f"{where} has no question: put it into the field question.")
    if isinstance(key, bool) or not isinstance(key, str | int) or len(str(key)) > LONGEST_KEY:
        raise BadRecord(f"{where} has an id that is not a number or a text of at most {LONGEST_KEY} characters.")
    try:
        return SetQuestion(line, str(key).strip(), checked_question(text))
    except InvalidInput as error:
        raise type(error)(f"{where}: {error.sentence}") from error


def _json_lines(text: str, name: str) -> Iterator[Raw]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield number, parsed_object(line.encode(), f"Line {number:,} of {name}")
            except KowaiError as error:
                yield number, error


def _csv_rows(text: str, name: str) -> Iterator[Raw]:
    """Yield rows by their heading; without one that names a question, each line is a question."""
    lines = text.split("\n")
    heading, delimiter = _heading(lines[0])
    if not heading:
        yield from ((number, {"question": line}) for number, line in enumerate(lines, 1) if line.strip())
        return
    place = 1
    while place < len(lines):
        line, where = place + 1, f"Line {place + 1:,} of {name}"
        reader = csv.reader(
            (f"{line}\n" for line in lines[place : place + LONGEST_RECORD]), delimiter=delimiter, strict=True
        )
        try:
            cells = next(reader)
        except csv.Error as error:
            yield line, BadRecord(f"{where} is not valid CSV: {error}.")
            place += 1
            continue
        place += reader.line_num
        if any(cell.strip() for cell in cells):
            yield line, _row(heading, cells, where)


def _heading(line: str) -> tuple[list[str], str]:
    """Return the names of the columns and what separates them; no names when none is that of a question."""
    for delimiter in DELIMITERS:
        names = [name.strip(' "').lower() for name in line.split(delimiter)]
        if any(name in QUESTION_FIELDS for name in names):
            return names, delimiter
    return [], ","


def _row(heading: list[str], cells: list[str], where: str) -> dict[str, Any] | KowaiError:
    if len(cells) > len(heading):
        return BadRecord(
            f"{where} has {len(cells)} cells under {len(heading)} headings: put quotation marks around text."
        )
    return dict(zip(heading, cells, strict=False))
