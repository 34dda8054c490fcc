"""Running headers and footers: what stands at the edge of page after page and belongs to none of their sentences."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

DEEPEST = 3  # lines at one edge of a page
FEWEST_NUMBERED, FEWEST_SAME = 3, 4  # pages, below which a likeness may be chance
SHARE_SAME = 0.5  # of all pages; a sentence may well be repeated on fewer

_NUMBER = re.compile(r"\d{1,6}")


class Edges(NamedTuple):
    """Count the running lines at a page's top and bottom."""

    top: int
    bottom: int


def running_lines(pages: Sequence[Sequence[str]]) -> list[Edges]:
    """Return for each page, given as its lines, how many at its edges only say which document or page this is.

    Such a line differs from page to page by a number that grows with them, or it is the same on most of them;
    the first of the latter is kept, so that no words are lost.
    """
    tops = _running(pages)
    rests = [lines[top:] for lines, top in zip(pages, tops, strict=True)]
    bottoms = _running([lines[::-1] for lines in rests])
    return [Edges(*edges) for edges in zip(tops, bottoms, strict=True)]


def _running(pages: Sequence[Sequence[str]]) -> list[int]:
    counts, most = [0] * len(pages), [DEEPEST] * len(pages)
    for depth in range(DEEPEST):
        reached = [number for number, lines in enumerate(pages) if counts[number] == depth and len(lines) > depth]
        for numbers in _shapes({number: pages[number][depth] for number in reached}):
            running = _alike(numbers, len(pages))
            for number in running:
                counts[number] += 1
            if running and len(set(numbers.values())) == 1:
                most[min(running)] = min(depth, most[min(running)])
    return list(map(min, counts, most))


def _shapes(lines: dict[int, str]) -> list[dict[int, str]]:
    """Return pages and their lines, grouped by what is not a number in them."""
    shapes: dict[str, dict[int, str]] = defaultdict(dict)
    for number, line in lines.items():
        shapes[_NUMBER.sub("\0", line)][number] = line
    return list(shapes.values())


def _alike(lines: dict[int, str], pages: int) -> set[int]:
    """Return the pages on which a line of this shape runs through the document."""
    if len(set(lines.values())) > 1:
        return _counting(lines)
    return set(lines) if len(lines) >= max(FEWEST_SAME, pages * SHARE_SAME) else set()


def _counting(lines: dict[int, str]) -> set[int]:
    """Return the pages whose line holds a number as far from the page's own as on most of the others."""
    found: set[int] = set()
    rows = {number: [int(told) - number for told in _NUMBER.findall(line)] for number, line in lines.items()}
    for column in zip(*rows.values(), strict=True):
        distance, times = Counter(column).most_common(1)[0]
        if times >= max(FEWEST_NUMBERED, len(lines) * SHARE_SAME):
            found |= {number for number, told in zip(rows, column, strict=True) if told == distance}
    return found
