"""Jupyter notebooks (nbformat 4 and 3): text as Markdown, code and what it printed in fences."""

import json
from collections.abc import Iterator
from typing import Any, cast

from kowai.decoding import canonical, decode
from kowai.errors import Corrupt
from kowai.loaders import Limits, Loader
from kowai.loaders.markdown import headings_of
from kowai.types import LoadedDocument

MEDIA_TYPE = "application/x-ipynb+json"
LONGEST_OUTPUT = 5_000


def load(data: bytes, name: str, limits: Limits = Limits(), charset: str | None = None) -> LoadedDocument:
    try:
        notebook: Any = json.loads(decode(data, name, charset))
    except (ValueError, RecursionError) as error:
        raise Corrupt(f"{name} is not valid JSON.", operator=str(error)[:500]) from error
    if not isinstance(notebook, dict):
        raise Corrupt(f"{name} is not a notebook.")
    fields = cast("dict[str, Any]", notebook)
    language = _string(_dictionary(_dictionary(fields.get("metadata")).get("kernelspec")).get("language")) or "python"
    text = canonical("\n\n".join(_blocks(fields, language)))
    headings = headings_of(text)
    first = min(headings, key=lambda heading: heading.level, default=None)
    return LoadedDocument(
        text=text,
        media_type=MEDIA_TYPE,
        content_type="code",
        title=first.title if first else None,
        headings=headings,
        metadata={"programming_language": canonical(language)[:50]},
    )


def _blocks(notebook: dict[str, Any], language: str) -> Iterator[str]:
    worksheets = [_dictionary(sheet) for sheet in _list(notebook.get("worksheets"))]
    for cell in map(_dictionary, [cell for holder in (notebook, *worksheets) for cell in _list(holder.get("cells"))]):
        source = _string(cell.get("source", cell.get("input"))).strip("\n")
        if not source.strip():
            continue
        if cell.get("cell_type") != "code":
            yield source
            continue
        yield _fenced(source, language)
        for output in map(_dictionary, _list(cell.get("outputs"))):
            shown = output.get("text") or _dictionary(output.get("data")).get("text/plain")
            if printed := _string(shown).strip("\n"):
                yield _fenced(printed[:LONGEST_OUTPUT], "text")


def _fenced(code: str, language: str) -> str:
    fence = "```"
    while fence in code:
        fence += "`"
    return f"{fence}{language}\n{code}\n{fence}"


def _string(value: Any) -> str:
    """Return a text that may be written as a list of lines."""
    if isinstance(value, list):
        return "".join(line for line in cast("list[Any]", value) if isinstance(line, str))
    return value if isinstance(value, str) else ""


def _dictionary(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


NOTEBOOK = Loader("a notebook", frozenset({".ipynb"}), frozenset({MEDIA_TYPE}), load)
