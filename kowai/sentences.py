"""Sentences: where they begin and end in prose, lists, tables, code and text that a PDF broke into lines."""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

LONGEST = 600


class Span(NamedTuple):
    """Point at characters [start, end) of a text."""

    start: int
    end: int


FENCE = re.compile(r"\s*(?:```|~~~)")
OPENS = re.compile(
    r"\s*(?:[-*+•‣▪●◦–>|]\s|\|?[-:|+=\s]{3,}$|\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,4})[.)]\s|#{1,6}\s|[A-Z][\w /-]{0,30}:\s)"
)
ALONE = re.compile(r"\s*(?:#{1,6}\s|\|)|.*(?:\t.*\t| \| |[;{}]\s*$)")
ENDING = re.compile(r"(?:[.!?…]+|[。！？｡؟।۔]+)(?:[\"'”’»)\]）」』]|\[\d{1,3}\])*")
WITHOUT_SPACE = frozenset("。！？｡")
LAST_WORD = re.compile(r"[^\W\d_](?:[\w.]|-(?=\w))*$")
ITEM = re.compile(r"\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,4})$")
SPACE = re.compile(r"\s*")
BEFORE_NAMES = frozenset(
    (
        "mr mrs ms dr prof rev hon gen col capt lt sgt maj sen rep gov pres st mt ft messrs mme mlle fr e.g i.e cf vs "
        "viz approx ca al resp incl excl z.b d.h bzw ggf sog"
    ).split()
)
BEFORE_NUMBERS = frozenset(
    (
        "no nos nr art sec fig figs eq ch chap vol p pp par para tab ref cl § app jan feb mar apr jun jul aug sep "
        "sept oct nov dec"
    ).split()
)
STARTERS = frozenset(
    (
        "the a an it its this that these those he she they we you i in on at by for from with when while if as after "
        "before but and or however there here his her their our your to some most many all both each no not such "
        "because although since"
    ).split()
)
SHORTENED = frozenset(("inc ltd co corp jr sr etc bros dept est univ").split())


def sentence_spans(text: str) -> list[Span]:
    """Return the sentences of a text in order: disjoint, trimmed, and together all of it but white space."""
    return [piece for block in _blocks(text) for span in _sentences(text, block) for piece in _cut(text, span)]


def _blocks(text: str) -> Iterator[Span]:
    """Yield runs of lines that belong together: a paragraph, a list item, a table row, a heading, a code block."""
    for run, fenced in _runs(text):
        if fenced:
            yield Span(run[0].start, run[-1].end)
            continue
        width = max(line.end - line.start for line in run)
        start = run[0].start
        for line, following in pairwise(run):
            if _separate(text, line, following, width):
                yield Span(start, line.end)
                start = following.start
        yield Span(start, run[-1].end)


def _runs(text: str) -> Iterator[tuple[list[Span], bool]]:
    """Yield consecutive lines that are not blank, and whether they stand between code fences."""
    run, fenced, start = list[Span](), False, 0
    for line in text.splitlines(keepends=True):
        span, start = Span(start, start + len(line)), start + len(line)
        fence = FENCE.match(line) is not None
        if (fence and not fenced) or not line.strip():
            if run and not fenced:
                yield run, False
                run = []
            if not fence:
                continue
        run.append(span)
        if fence and fenced:
            yield run, True
            run = []
        fenced ^= fence
    if run:
        yield run, fenced


def _separate(text: str, line: Span, following: Span, width: int) -> bool:
    """Say whether the line break between two lines was meant, rather than forced by the width of a page."""
    this, after = text[line.start : line.end], text[following.start : following.end]
    if OPENS.match(after) or ALONE.match(this) or ALONE.match(after):
        return True
    first = after.split(maxsplit=1)[0]
    if first[0].islower() or this.rstrip().endswith((",", "-", "–", "(", "&")):
        return False
    return width < 30 or len(this.rstrip()) + len(first) + 1 < 0.8 * width


def _sentences(text: str, block: Span) -> Iterator[Span]:
    if FENCE.match(text, block.start, block.end):
        yield block
        return
    start = block.start
    for match in ENDING.finditer(text, block.start, block.end):
        if _ends(text, start, match, block.end):
            yield Span(start, match.end())
            start = match.end()
    yield Span(start, block.end)


def _ends(text: str, start: int, match: re.Match[str], limit: int) -> bool:
    """Say whether the punctuation in `match` ends the sentence that began at `start`."""
    if match[0][0] in WITHOUT_SPACE:
        return True
    place = match.end()
    after = SPACE.match(text, place, limit)
    if after is None or after.end() == limit or after.end() == place:
        return False
    following = text[after.end() : after.end() + 24]
    if following[0].islower():
        return False
    return match[0][0] != "." or not _abbreviates(text[max(start, match.start() - 24) : match.start()], following)


def _abbreviates(before: str, following: str) -> bool:
    """Say whether a full stop between `before` and `following` belongs to a short form or a list number."""
    if ITEM.match(before.strip()):
        return True
    found = LAST_WORD.search(before)
    if found is None:
        return False
    word = found[0].lower()
    if word in BEFORE_NAMES or (word in BEFORE_NUMBERS and following[0].isdigit()):
        return True
    first = re.match(r"\w*", following)
    initials = len(word) == 1 or (len(word) < 8 and all(len(part) == 1 for part in word.split(".")))
    return (initials or word in SHORTENED) and first is not None and first[0].lower() not in STARTERS


def _cut(text: str, span: Span) -> Iterator[Span]:
    """Trim a span, and cut what is longer than LONGEST at a line break, a space, or anywhere."""
    start, end = span
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    while end - start > LONGEST:
        place = _gap(text, start, start + LONGEST)
        yield Span(start, len(text[:place].rstrip()) if text[place - 1].isspace() else place)
        start = place
        while text[start].isspace():
            start += 1
    if start < end:
        yield Span(start, end)


def _gap(text: str, start: int, limit: int) -> int:
    """Return a good place to cut before `limit`, in the second half of what follows `start`."""
    for mark in ("\n", " "):
        place = text.rfind(mark, start + LONGEST // 2, limit)
        if place > 0:
            return place
    return limit
