"""A BEIR folder (Thakur et al., 2021): queries.jsonl, and qrels/*.tsv that grade documents by query."""

from collections.abc import Iterator
from typing import Any

from kowai.decoding import decode
from kowai.errors import BadRecord, KowaiError
from kowai.jsonl import parsed_object
from kowai.suite_formats import Files, Format
from kowai.suites import BadSuite, ParsedSuite, Raw, collected

HIGHEST = 4
PREFERRED = ("test", "dev", "train")


def recognises(files: Files) -> bool:
    return any(_name(path) == "queries.jsonl" for path in files) and any(path.endswith(".tsv") for path in files)


def read(files: Files, name: str) -> ParsedSuite:
    """Return a case a query that has relevant documents; of several qrels test goes before dev and train.

    Raises BadSuite, NoCases and TooManyCases.
    """
    queries = next((path for path in files if _name(path) == "queries.jsonl"), None)
    graded = sorted((path for path in files if path.endswith(".tsv")), key=_preference)
    if queries is None or not graded:
        raise BadSuite(f"{name} is no BEIR folder: it needs queries.jsonl and qrels/test.tsv.")
    relevant, bad = _relevant(decode(files[graded[0]], graded[0]), graded[0])
    described = {"name": name, "description": f"Imported from {queries} and {graded[0]}."}
    return collected(described, [*bad, *_records(decode(files[queries], queries), queries, relevant)])


def _preference(path: str) -> tuple[int, str]:
    split = _name(path).removesuffix(".tsv")
    return PREFERRED.index(split) if split in PREFERRED else len(PREFERRED), path


def _relevant(text: str, path: str) -> tuple[dict[str, dict[str, int]], list[Raw]]:
    """Return each query's graded documents, the highest grade of each, and the lines that say nothing."""
    grades, bad = dict[str, dict[str, int]](), list[Raw]()
    for number, line in enumerate(text.split("\n"), 1):
        cells = line.strip("\r").split("\t")
        if not line.strip() or (number == 1 and not cells[-1].strip().lstrip("-").isdigit()):
            continue
        if len(cells) == 4:  # TREC's form has an iteration between query and document
            del cells[1]
        where = f"Line {number:,} of {path}"
        if len(cells) != 3 or not cells[2].strip().lstrip("-").isdecimal():
            bad.append((where, BadRecord(f"{where} is not a query, a document and a grade between tabs.")))
            continue
        query, document, grade = (cell.strip() for cell in cells)
        known = grades.setdefault(query, {})
        known[document] = max(known.get(document, 0), min(HIGHEST, max(0, int(grade))))
    return grades, bad


def _records(text: str, path: str, relevant: dict[str, dict[str, int]]) -> Iterator[Raw]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        where = f"Line {number:,} of {path}"
        try:
            query: dict[str, Any] = parsed_object(line.encode(), where)
        except KowaiError as error:
            yield where, error
            continue
        key = str(query.get("_id", ""))
        if any(relevant.get(key, {}).values()):
            yield where, {"id": key, "question": query.get("text"), "documents": relevant[key]}


def _name(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]


FORMAT = Format("a BEIR folder with queries.jsonl and qrels/*.tsv", recognises, read)
