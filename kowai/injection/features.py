"""Features of a text for the injection guard: hashed words and pairs of words, and a few measures."""

import math
import re
import string
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, pairwise
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
CODED = re.compile(r"[{}();=]")
APOSTROPHE = re.compile("['’]")
CARET = crc32(b"^")
DIGITS = string.digits.encode()
LONG_WORD = 4
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
    return np.array(sorted(buckets(tokens(text))), np.int64)


def tokens(text: str) -> list[str]:
    """Return the words, numbers and marks of a text without case."""
    return WORD.findall(text.lower())


def buckets(said: Sequence[str]) -> set[int]:
    """Return the buckets of a text's tokens, of pairs of them, and of the first of both behind a ^."""
    words = [*map(_word, said)]
    hashes = [each for each, _ in words]
    hashes += [crc32(right, left) for (left, _), (_, right) in pairwise(words)]
    if words:
        first = crc32(words[0][1][1:], CARET)
        hashes += [first, *(crc32(behind, first) for _, behind in words[1:2])]
    return {each % BUCKETS for each in hashes}


@lru_cache(1 << 14)
def _word(word: str) -> tuple[int, bytes]:
    """Return the hash of a token, and how it stands behind another one."""
    written = b"0" if word.isdigit() else word.encode()
    return crc32(written), b" " + written


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


def surroundings(parts: Sequence[Segment], said: Sequence[Sequence[str]] | None = None) -> list[list[float]]:
    """Return for each segment how it fits among the others: novelty of its words, form of its line, its place.

    `said` are the tokens of each, if they are known.
    """
    owned = [set(_long_words(each)) for each in said or [tokens(part.text) for part in parts]]
    holders = Counter(chain.from_iterable(owned))
    piped = sum("|" in part.text for part in parts) / max(1, len(parts))
    coded = sum(CODED.search(part.text) is not None for part in parts) / max(1, len(parts))
    return [
        _surrounded(part, own, holders, piped=piped, coded=coded, edge=place in (0, len(parts) - 1))
        for place, (part, own) in enumerate(zip(parts, owned, strict=True))
    ]


def _long_words(said: Sequence[str]) -> Iterator[str]:
    for token in said:
        if len(token) >= LONG_WORD and not token.isdecimal():
            if token.isalpha():
                yield token
            else:
                yield from (word for word in APOSTROPHE.split(token) if len(word) >= LONG_WORD)


def _surrounded(
    part: Segment, own: set[str], holders: Mapping[str, int], *, piped: float, coded: float, edge: bool
) -> list[float]:
    new = [holders[word] for word in own].count(1) / len(own) if own else 0.0
    figures = _digits(part.text) / len(part.text)
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


def _digits(text: str) -> int:
    if text.isascii():
        return len(text) - len(text.encode().translate(None, DIGITS))
    return sum(map(str.isdigit, text))
