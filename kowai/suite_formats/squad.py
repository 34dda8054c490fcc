"""SQuAD 1.1 and 2.0 (Rajpurkar et al., 2016 and 2018): articles of paragraphs, each with questions and answers."""

import json
from collections.abc import Iterator
from typing import Any, cast

from kowai.decoding import decode
from kowai.errors import BadRecord
from kowai.suite_formats import Files, Format
from kowai.suites import BadSuite, ParsedSuite, Raw, collected


def recognises(files: Files) -> bool:
    if len(files) != 1:
        return False
    ((path, data),) = files.items()
    return path.lower().endswith(".json") and b'"data"' in data and b'"paragraphs"' in data


def read(files: Files, name: str) -> ParsedSuite:
    """Return a case a question; its article's title is its tag. Raises BadSuite, NoCases and TooManyCases."""
    path, data = next(iter(files.items()))
    try:
        articles = json.loads(decode(data, path))["data"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadSuite(f"{path} is no SQuAD file: it has no list `data`.", operator=str(error)[:500]) from error
    return collected({"name": name, "description": f"Imported from {path}."}, _records(articles, path))


def _records(articles: Any, path: str) -> Iterator[Raw]:
    for number, article in enumerate(_list(articles), 1):
        paragraphs = _list(_get(article, "paragraphs"))
        if not paragraphs:
            yield f"Article {number:,} of {path}", BadRecord(f"Article {number:,} of {path} has no paragraphs.")
        for place, paragraph in enumerate(paragraphs, 1):
            where = f"Paragraph {place:,} of article {number:,} of {path}"
            questions = _list(_get(paragraph, "qas"))
            if not questions:
                yield where, BadRecord(f"{where} has no questions (`qas`).")
            for turn, asked in enumerate(questions, 1):
                yield f"Question {turn:,} of {where}", _case(asked, _get(article, "title"), f"{number}-{place}-{turn}")


def _case(asked: Any, title: Any, fallback: str) -> dict[str, Any]:
    unanswerable = _get(asked, "is_impossible") is True
    answers = [] if unanswerable else [_get(one, "text") for one in _list(_get(asked, "answers"))]
    known = list(dict.fromkeys(one for one in answers if isinstance(one, str)))
    case = {"id": str(_get(asked, "id") or fallback), "question": _get(asked, "question"), "answers": known}
    return case | {"unanswerable": unanswerable, "tags": [title] if isinstance(title, str) and title else []}


def _get(value: Any, key: str) -> Any:
    return cast("dict[str, Any]", value).get(key) if isinstance(value, dict) else None


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


FORMAT = Format("SQuAD JSON with `data` and `paragraphs`", recognises, read)
