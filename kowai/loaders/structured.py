"""JSON: a line for each value, led by the path to it, so that a line says what its value is of."""

import json
from collections.abc import Iterator
from typing import Any, cast

from kowai.decoding import canonical, decode
from kowai.errors import Corrupt, DocumentTooLarge
from kowai.loaders import Limits, Loader
from kowai.types import Heading, LoadedDocument

MAX_VALUES = 1_000_000


def load(data: bytes, name: str, limits: Limits = Limits(), charset: str | None = None) -> LoadedDocument:
    try:
        value: Any = json.loads(decode(data, name, charset))
    except (ValueError, RecursionError) as error:
        raise Corrupt(f"{name} is not valid JSON.", operator=str(error)[:500]) from error
    lines: list[str] = []
    headings: list[Heading] = []
    start = 0
    for path, text in _lines(value, name):
        section = path.partition(".")[0].partition("[")[0]
        if section and (not headings or headings[-1].title != section):
            headings.append(Heading(1, section, start))
        lines.append(f"{path}: {text}" if path else text)
        start += len(lines[-1]) + 1
    title = cast("dict[str, Any]", value).get("title") if isinstance(value, dict) else None
    return LoadedDocument(
        text="\n".join(lines),
        media_type="application/json",
        content_type="data",
        title=canonical(title) if isinstance(title, str) and title.strip() else None,
        headings=tuple(headings),
    )


def _lines(value: Any, name: str) -> Iterator[tuple[str, str]]:
    """Yield every value that is not empty with its path, in order and without recursion."""
    waiting: list[tuple[str, Any]] = [("", value)]
    count = 0
    while waiting:
        path, inner = waiting.pop()
        count += 1
        if count > MAX_VALUES:
            raise DocumentTooLarge(f"{name} holds more than {MAX_VALUES:,} values: split it.")
        if isinstance(inner, dict):
            items = list(cast("dict[str, Any]", inner).items())
            waiting.extend((f"{path}.{key}" if path else key, held) for key, held in reversed(items))
        elif isinstance(inner, list):
            held = list(enumerate(cast("list[Any]", inner)))
            waiting.extend((f"{path}[{index}]", item) for index, item in reversed(held))
        elif inner is not None and inner != "":
            yield canonical(" ".join(path.split())), canonical(inner if isinstance(inner, str) else json.dumps(inner))


STRUCTURED = Loader("JSON", frozenset({".json"}), frozenset({"application/json"}), load)
