"""Where text stands on its page: a rectangle a line, in points from the top left corner of the page as it is shown.

A page's layout is kept as text: the page's width and height, and then of each line its first and last character,
counted from the page's first, and its corners in whole points (0.35 mm), rounded outwards.
"""

from collections.abc import Iterable, Iterator
from math import ceil, floor
from typing import NamedTuple

from kowai.types import Box, PageSpan


class Size(NamedTuple):
    """Measure a page in points."""

    width: float
    height: float


class Line(NamedTuple):
    """Place characters [start, end) of a page's text in a rectangle of the page."""

    start: int
    end: int
    x0: float
    y0: float
    x1: float
    y1: float


def written(size: Size, lines: Iterable[Line]) -> str:
    """Write a page's layout down; a page without lines has none."""
    told = [
        f"{line.start} {line.end} {floor(line.x0)} {floor(line.y0)} {ceil(line.x1)} {ceil(line.y1)}" for line in lines
    ]
    return " ".join((f"{ceil(size.width)} {ceil(size.height)}", *told)) if told else ""


def within(layout: str, start: int, end: int) -> str:
    """Return the layout of a page of which only characters [start, end) are left."""
    size, lines = _read(layout)
    left = [line for line in lines if start <= line.start and line.end <= end]
    return written(size, (line._replace(start=line.start - start, end=line.end - start) for line in left))


def boxes(layout: str, page: PageSpan, start: int, end: int) -> Iterator[Box]:
    """Yield the rectangles of the lines that hold any of characters [start, end) of the document on this page."""
    size, lines = _read(layout)
    for line in lines:
        if page.start + line.start < end and page.start + line.end > start:
            x0, y0, x1, y1, width, height = map(int, (*line[2:], *size))
            yield Box(page=page.number, x0=x0, y0=y0, x1=x1, y1=y1, page_width=width, page_height=height)


def _read(layout: str) -> tuple[Size, list[Line]]:
    width, height, *numbers = map(int, layout.split()) if layout else (0, 0)
    fields = len(Line._fields)
    return Size(width, height), [Line(*numbers[place : place + fields]) for place in range(0, len(numbers), fields)]
