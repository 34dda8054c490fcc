"""Features of a text for the injection guard: hashed words and pairs of words, and a few measures."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from kowai.injection.rules import KINDS, Rule, rule_hits

BUCKETS = 1 << 15
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?|\d+|[?!:|{}<>\[\]=]")
WINDOW, STRIDE = 60, 30
SHORTEST_ORDER = 4  # words; shorter ones that name what they override are found by rules
SEGMENT = re.compile(r"[^\s](?:[^\n.!?]|[.!?](?!\s))*[.!?]*")
CONTENT = re.compile(r"[^\W\d_]{4,}")
RULES = KINDS
MARKS = "#*-+>`|$.0123456789"  # what lines of lists, headings and code begin with

Indices = NDArray[np.int64]
Vector = NDArray[np.float32]


class Segment(NamedTuple):
    """Hold a sentence or line of a document and where it stands."""

    start: int
    end: int
    text: str

    @property
    def is_long_enough(self) -> bool:
        """Tell whether it can be an order at all: two or three words are a heading, a label or the name of a thing."""
        return len(self.text.split()) >= SHORTEST_ORDER


def hashed(text: str) -> Indices:
    """Return the buckets of a text, in order."""
    return np.array(sorted(buckets(text)), np.int64)


def buckets(text: str) -> set[int]:
    """Return the buckets of the text's words, of its pairs of words, and of the first of both behind a ^."""
    words = [b"0" if word.isdigit() else word.encode() for word in WORD.findall(text.lower())]
    hashes = [*map(crc32, words)]
    hashes += [crc32(b" " + right, left) for left, right in zip(hashes, words[1:], strict=False)]
    if words:
        first = crc32(b"^" + words[0])
        hashes += [first, *(crc32(b" " + word, first) for word in words[1:2])]
    return {each % BUCKETS for each in hashes}


def windows(text: str) -> list[str]:
    """Return overlapping windows of 60 words; a short text is its own window."""
    places = [match.start() for match in re.finditer(r"\S+", text)]
    if len(places) <= WINDOW:
        return [text]
    starts = range(0, len(places) - STRIDE, STRIDE)
    return [text[places[start] : places[start + WINDOW] if start + WINDOW < len(places) else None] for start in starts]


def measures(text: str, among: Mapping[str, Rule] | None = None) -> list[float]:
    """Return which kinds of rules hit, of those `among` which its are, and whether the text asks."""
    hit = {kind for kind, _, _ in rule_hits(text, among)}
    return [float(kind in hit) for kind in RULES] + [float("?" in text)]


def rarity(count: int) -> float:
    """Return by how much, in log odds, one sentence is less likely to be an order among `count` than among twenty."""
    return max(0.0, math.log(count / 20)) if count else 0.0


def segments(text: str) -> list[Segment]:
    return [Segment(match.start(), match.end(), match[0]) for match in SEGMENT.finditer(text)]


def surroundings(parts: Sequence[Segment]) -> list[list[float]]:
    """Return for each segment how it fits among the others: novelty of its words, form of its line, its place."""
    holders: dict[str, int] = {}
    owned = [set(CONTENT.findall(part.text.lower())) for part in parts]
    for own in owned:
        for word in own:
            holders[word] = holders.get(word, 0) + 1
    piped = sum("|" in part.text for part in parts) / max(1, len(parts))
    coded = sum(any(mark in part.text for mark in "{}();=") for part in parts) / max(1, len(parts))
    return [
        _surrounded(part, own, holders, piped=piped, coded=coded, edge=place in (0, len(parts) - 1))
        for place, (part, own) in enumerate(zip(parts, owned, strict=True))
    ]


def _surrounded(
    part: Segment, own: set[str], holders: dict[str, int], *, piped: float, coded: float, edge: bool
) -> list[float]:
    new = sum(holders[word] == 1 for word in own) / len(own) if own else 0.0
    figures = sum(map(str.isdigit, part.text)) / len(part.text)
    words = min(1.0, len(part.text.split()) / 25)
    is_bare = float("|" not in part.text)
    is_sentence = float(part.text[0].isupper() and part.text[-1] in ".?!:\"'")
    is_marked = float(part.text[0] in MARKS or (not is_sentence and words < 0.3))
    return [
        is_marked,
        is_marked * new,
        new,
        figures,
        words,
        float(edge),
        piped * is_bare,
        piped,
        coded,
        is_sentence,
        is_sentence * new,
        is_sentence * piped * is_bare,
    ]
