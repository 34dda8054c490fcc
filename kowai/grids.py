"""Tables in a text: where they stand and what their columns are called, so that each of their chunks can say so."""

import re
from collections.abc import Iterator
from itertools import groupby, pairwise
from typing import NamedTuple

LONGEST_HEADER = 300
LEAST_ROWS = 3  # what looks like a table without a rule under its header

_RULE = re.compile(r"\s*\|?(?:\s*:?-+:?\s*\|)+(?:\s*:?-+:?\s*)?$")  # GitHub Flavored Markdown, 4.10


class Grid(NamedTuple):
    """Hold the characters [start, end) of a table from its header on, and the names of its columns."""

    start: int
    end: int
    header: str


class Row(NamedTuple):
    start: int
    text: str

    def cells(self) -> list[str]:
        return [cell.strip() for cell in self.text.strip().strip("|").split("|")]


def grids(text: str, *, ruled: bool) -> Iterator[Grid]:
    """Yield the tables with a rule under the header if `ruled`, else those of which loaders write a line a row."""
    bar = "|" if ruled else " | "
    if bar not in text:
        return
    for is_row, lines in groupby(_lines(text), key=lambda line: bar in line.text):
        rows = list(lines) if is_row else []
        header = _ruled(rows) if ruled else _unruled(rows)
        if header is not None:
            yield Grid(header.start, rows[-1].start + len(rows[-1].text), " | ".join(header.cells())[:LONGEST_HEADER])


def _ruled(rows: list[Row]) -> Row | None:
    return next((above for above, row in pairwise(rows) if _RULE.match(row.text)), None)


def _unruled(rows: list[Row]) -> Row | None:
    """Return the first row if it names the columns of the others: several texts, none of them a number."""
    if len(rows) < LEAST_ROWS:
        return None
    names = rows[0].cells()
    alike = all(len(row.cells()) == len(names) for row in rows[:LEAST_ROWS])
    numbers = any(name.replace(".", "").replace("-", "").isdecimal() for name in names)
    return rows[0] if alike and all(names) and not numbers else None


def _lines(text: str) -> Iterator[Row]:
    start = 0
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        yield Row(start, text[start:end])
        start = end + 1
