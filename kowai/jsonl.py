"""Many documents in one file: a JSON object per line, with `_id`, `title`, `text` and `metadata` as BEIR has them."""

import json
import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, NoReturn, cast

from kowai.decoding import canonical
from kowai.errors import BadRecord, DocumentTooLarge, DuplicateId, EmptyDocument, KowaiError
from kowai.types import LoadedDocument

SUFFIXES = frozenset((".jsonl", ".ndjson"))
MAX_LINE_BYTES = 10_000_000


class Record(NamedTuple):
    """Hold one document; offsets count the characters of `text`, without the title."""

    line: int
    id: str
    title: str | None
    text: str
    metadata: dict[str, Any]

    def document(self) -> LoadedDocument:
        return LoadedDocument(text=self.text, media_type="text/plain", title=self.title, metadata=self.metadata)


class BadLine(NamedTuple):
    """Hold why line `line` (from 1) gives no document; the other lines are not affected."""

    line: int
    error: KowaiError


def parse(lines: Iterable[bytes], name: str, max_line_bytes: int = MAX_LINE_BYTES) -> Iterator[Record | BadLine]:
    """Yield what each line holds, in order; blank lines are nothing. An open binary file is an iterable of lines."""
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"Line {number:,} of {name}"
        try:
            record = _record(line, number, where, max_line_bytes)
            if record.id in seen:
                raise DuplicateId(
                    f"{where} repeats the _id {record.id!r} of line {seen[record.id]:,}: rename one of them."
                )
        except KowaiError as error:
            yield BadLine(number, error)
        else:
            seen[record.id] = number
            yield record


def _record(line: bytes, number: int, where: str, max_line_bytes: int) -> Record:
    if len(line) > max_line_bytes:
        raise DocumentTooLarge.beyond(where, max_line_bytes)
    fields = parsed_object(line, where)
    identity, title, text = fields.pop("_id", None), fields.pop("title", None), fields.pop("text", None)
    metadata = fields.pop("metadata", None)
    if isinstance(identity, bool) or not isinstance(identity, str | int) or not str(identity).strip():
        raise BadRecord(f"{where} has no _id: give each document a text or number of its own.")
    if not isinstance(text, str):
        raise BadRecord(f"{where} has no text: put the document's text into the field text.")
    if not isinstance(title, str | None) or not isinstance(metadata, dict | None):
        raise BadRecord(f"{where} has a title that is not text or metadata that is not an object.")
    if not text.strip():
        raise EmptyDocument(f"{where} holds a document without text.")
    known = cast("dict[str, Any]", metadata or {})
    return Record(number, str(identity), (title or "").strip() or None, text, {**fields, **known})


def parsed_object(line: bytes, where: str) -> dict[str, Any]:
    """Return the line's object with every text in it canonical. Raises BadRecord."""
    try:
        loaded = json.loads(line.decode("utf-8-sig"), parse_constant=_refuse, parse_float=_finite)
        value: object = _canonical(loaded)
    except UnicodeDecodeError as error:
        raise BadRecord(f"{where} is not UTF-8: save the file as UTF-8.", operator=str(error)) from error
    except (ValueError, RecursionError) as error:
        raise BadRecord(f"{where} is not valid JSON.", operator=str(error)[:500]) from error
    if not isinstance(value, dict):
        raise BadRecord(f"{where} is not a JSON object.")
    return cast("dict[str, Any]", value)


def _canonical(value: Any) -> Any:
    if isinstance(value, str):
        return canonical(value)
    if isinstance(value, dict):
        return {canonical(name): _canonical(inner) for name, inner in cast("dict[str, Any]", value).items()}
    return [_canonical(inner) for inner in cast("list[Any]", value)] if isinstance(value, list) else value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _finite(number: str) -> float:
    value = float(number)
    return value if math.isfinite(value) else _refuse(number)
