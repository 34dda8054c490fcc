"""Where pdfium sees the lines of a page's text, found again in the text that was made of them."""

import re
from collections.abc import Iterator
from ctypes import c_double
from typing import Any, NamedTuple

from pypdfium2 import raw as _raw

from kowai.decoding import canonical
from kowai.layout import Line, Size, written

raw: Any = _raw
MOST_LINES = 2_000  # of a page; one with more is a drawing
LONGEST_SOUGHT = 500
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f\ufffe\uffff]")  # glyphs whose characters the font does not tell

_RUN = re.compile("[^\r\n\ufffe\x02]+")  # pdfium writes \ufffe or \x02 where a word is broken over two lines


class Run(NamedTuple):
    """Hold a line as pdfium wrote it, and the characters [start, end) that it has become."""

    found: str
    start: int
    end: int


class Corners(NamedTuple):
    x0: float
    y0: float
    x1: float
    y1: float


def layout_of(page: Any, textpage: Any, found: str, text: str) -> str:
    """Return the layout of a page whose `found` characters have become `text`; what cannot be placed is left out."""
    runs = _runs(canonical(found), text)
    if not runs or len(runs) > MOST_LINES:
        return ""
    upright = _Upright(page.get_rotation(), *page.get_bbox())
    whole: str = textpage.get_text_range().replace("\ufffe", "\x02")
    lines: list[Line] = []
    cursor = 0
    for run in runs:
        place = _place(whole, run.found, cursor)
        if place is not None:
            cursor = place[1]
            lines += (Line(run.start, run.end, *upright.turned(box)) for box in _boxes(textpage, *place))
    return written(upright.size, lines)


def _runs(found: str, text: str) -> list[Run]:
    """Return the lines with their places in `text`, which differs by white space, line ends and what was dropped."""
    dropped = CONTROLS.search(found) is not None
    runs: list[Run] = []
    cursor = 0
    for line in _RUN.findall(found):
        words = (CONTROLS.sub("", line) if dropped else line).strip()
        start = text.find(words, cursor) if words else -1
        if start >= 0:
            cursor = start + len(words)
            runs.append(Run(line.strip(), start, cursor))
    return runs


def _place(whole: str, words: str, cursor: int) -> tuple[int, int] | None:
    """Return where `words` stand in what pdfium tells of the whole page, whatever white space it sees in them."""
    start = whole.find(words, cursor)
    if start >= 0:
        return start, start + len(words)
    if len(words) > LONGEST_SOUGHT or CONTROLS.search(words):
        return None
    spaced = re.compile(r"\s*".join(map(re.escape, "".join(words.split()))))
    place = spaced.search(whole, cursor)
    return place.span() if place else None


def _boxes(textpage: Any, start: int, end: int) -> Iterator[Corners]:
    """Yield a rectangle for each line of these characters, of which pdfium sees one a font."""
    first = raw.FPDFText_GetCharIndexFromTextIndex(textpage, start)
    corners = [c_double() for _ in range(4)]
    line: Corners | None = None
    for number in range(raw.FPDFText_CountRects(textpage, first, end - start)):
        raw.FPDFText_GetRect(textpage, number, *corners)
        x0, y1, x1, y0 = (corner.value for corner in corners)  # left, top, right, bottom; y grows upwards
        if line is not None and min(line.y1, y1) - max(line.y0, y0) > min(line.y1 - line.y0, y1 - y0) / 2:
            line = Corners(min(line.x0, x0), min(line.y0, y0), max(line.x1, x1), max(line.y1, y1))
            continue
        if line is not None:
            yield line
        line = Corners(x0, y0, x1, y1)
    if line is not None:
        yield line


class _Upright:
    """Turn rectangles of a page, whose y grows upwards, into those of the page as it is shown, whose y grows down."""

    def __init__(self, rotation: int, left: float, bottom: float, right: float, top: float) -> None:
        self._rotation = rotation
        self._page = Corners(left, bottom, right, top)
        sides = (right - left, top - bottom)
        self.size = Size(*(sides if rotation in (0, 180) else reversed(sides)))

    def turned(self, box: Corners) -> Corners:
        """Return the rectangle after a clockwise rotation (ISO 32000-2, 7.7.3.3), as far as it lies on the page."""
        page = self._page
        left, right, low, high = box.x0 - page.x0, box.x1 - page.x0, box.y0 - page.y0, box.y1 - page.y0
        width, height = page.x1 - page.x0, page.y1 - page.y0
        if self._rotation == 0:
            corners = (left, height - high, right, height - low)
        elif self._rotation == 90:
            corners = (low, left, high, right)
        elif self._rotation == 180:
            corners = (width - right, low, width - left, high)
        else:
            corners = (height - high, width - right, height - low, width - left)
        across, down = self.size
        x0, y0, x1, y1 = corners
        return Corners(max(0.0, x0), max(0.0, y0), min(x1, across), min(y1, down))
