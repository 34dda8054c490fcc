"""What a question asks for: the kind of answer, the words that must be matched, what it names, what it denies."""

import re
from itertools import pairwise
from typing import Literal, NamedTuple

from kowai.extraction.words import STOP_WORDS, Word, rarity, stem, words_of

Kind = Literal["person", "place", "date", "number", "reason", "manner", "name", "thing", "statement"]

LONGEST = 600
NEGATIONS = frozenset(("not never no none neither nor without cannot hardly nobody nothing n't t").split())
AUXILIARIES = frozenset(
    (
        "is are was were am do does did has have had can could will would shall should may might must isn aren wasn "
        "weren don doesn didn hasn haven hadn can couldn won wouldn shouldn"
    ).split()
)
PERSONS = frozenset(
    (
        "person people king queen emperor leader author president minister scientist inventor founder writer director "
        "general man woman name whose physicist mathematician artist engineer manager employee officer ruler explorer "
        "philosopher"
    ).split()
)
PLACES = frozenset(
    (
        "city country place state region river town area continent location province county village island sea ocean "
        "nation territory street building office room district port mountain lake"
    ).split()
)
DATES = frozenset(("year date day month century decade time era period season weekday deadline").split())
NUMBERS = frozenset(
    (
        "number percentage percent amount population price cost rate fee height depth length width size distance age "
        "temperature speed area limit ratio share sum total fraction proportion salary budget version quantity"
    ).split()
)
MEASURES = frozenset(
    ("many much long far old tall large big high deep often fast heavy wide late early soon few").split()
)
PARTICLES = frozenset("up down out in on off over".split())
DATED = re.compile(
    r"\b(?:when|(?:what|which) (?:year|date|day|month|century|decade|time|era)|(?:since|until) when"
    r"|how (?:late|early|soon))\b"
)


class Asked(NamedTuple):
    """Hold what a question asks for. `terms` are the stems to find, with their rarity in [0, 1].

    `joined` holds, for terms before a particle, the stem of both in one word: back up, backup.
    """

    text: str
    kind: Kind
    words: tuple[Word, ...]
    terms: dict[str, float]
    joined: dict[str, str]
    names: frozenset[str]
    numbers: frozenset[str]
    focus: str | None
    negated: bool


def read_question(question: str) -> Asked:
    """Read what a question asks for, from its first 600 characters."""
    text = question[:LONGEST]
    words = tuple(word for word in words_of(text) if word.kind != "mark")
    kind, place = _kind(text, words)
    focus = _focus(words, place)
    terms = {word.stem: rarity(word.stem) for word in words if _counts(word)}
    capitals = [
        w for n, w in enumerate(words) if w.text[0].isupper() and (n > 0 or w.lower not in STOP_WORDS) and _counts(w)
    ]
    all_capitals = sum(word.text[0].isupper() for word in words) > 0.7 * len(words)
    return Asked(
        text=text,
        kind=kind,
        words=words,
        terms=terms,
        joined=_joined(words),
        names=frozenset() if all_capitals else frozenset(word.stem for word in capitals),
        numbers=frozenset(word.lower for word in words if word.kind == "number"),
        focus=focus,
        negated=any(word.lower in NEGATIONS for word in words),
    )


def _joined(words: tuple[Word, ...]) -> dict[str, str]:
    pairs = [(word, after) for word, after in pairwise(words) if after.lower in PARTICLES and _counts(word)]
    return {word.stem: stem(word.lower + after.lower) for word, after in pairs}


def _counts(word: Word) -> bool:
    return word.lower not in STOP_WORDS and (len(word.lower) > 1 or word.kind != "word") and word.lower not in NEGATIONS


def _kind(text: str, words: tuple[Word, ...]) -> tuple[Kind, int]:
    """Return the kind of answer asked for and the place of the word that asks."""
    lower = text.lower()
    for place, word in enumerate(words):
        following = [after.lower for after in words[place + 1 : place + 4]]
        kind = _asked_by(word.lower, following, lower)
        if kind:
            return kind, place
    return "statement", -1


def _asked_by(word: str, following: list[str], lower: str) -> Kind | None:
    """Return the kind of answer that a question word asks for, seeing the three words after it."""
    first = following[0] if following else ""
    if word in ("who", "whom", "whose"):
        return "person"
    if word == "when" or (word in ("what", "which") and DATED.search(lower)):
        return "date"
    if word == "where":
        return "place"
    if word == "why":
        return "reason"
    if word == "how":
        return "date" if first in ("late", "early", "soon") else "number" if first in MEASURES else "manner"
    if word not in ("what", "which"):
        return None
    return _kind_of_thing(following)


def _kind_of_thing(following: list[str]) -> Kind:
    for word in following:
        if word in NUMBERS:
            return "number"
        if word in DATES:
            return "date"
        if word in PLACES:
            return "place"
        if word in PERSONS:
            return "name" if word == "name" else "person"
    return "thing"


def _focus(words: tuple[Word, ...], place: int) -> str | None:
    """Return the stem of the noun after the question word: river in 'Which long river ...'."""
    if place < 0 or words[place].lower not in ("what", "which", "how"):
        return None
    focus = None
    for word in words[place + 1 : place + 5]:
        if word.lower in AUXILIARIES or word.lower in STOP_WORDS:
            if focus:
                return focus
            continue
        focus = word.stem
        if words[place].lower == "how":
            return focus
    return focus
