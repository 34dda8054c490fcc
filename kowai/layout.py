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


def boxes(layout: str, page: PageSpan, start: int, end: int) -> Iterator[Box]:
    """Yield the rectangles of the lines that hold any of characters [start, end) of the document on this page."""
    width, height, *numbers = map(int, layout.split()) if layout else (0, 0)
    for place in range(0, len(numbers), len(Line._fields)):
        first, last, *corners = numbers[place : place + len(Line._fields)]
        if page.start + first < end and page.start + last > start:
            x0, y0, x1, y1 = corners
            yield Box(page=page.number, x0=x0, y0=y0, x1=x1, y1=y1, page_width=width, page_height=height)
