"""Several sentences: what a question for a list, for a procedure or of several parts needs beside the closest one."""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from kowai.extraction.asked import Asked, read_question
from kowai.extraction.field import Field
from kowai.extraction.sentence_features import Close
from kowai.sentences import Span
from kowai.types import Passage

MOST = 3
LONGEST_LIST = 8  # steps or items, quoted whole: a procedure without its end misleads
NEARLY = 0.6  # of the closest sentence's confidence, which another one needs beside the threshold
FRESH = 0.5  # of its stems have to be new
LEAST_TERMS = 2  # with fewer, what follows an "and" is no question of its own

ITEM = re.compile(r"^\s*(?:[-*+•‣▪●◦–]|\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,4})[.)])\s")
FIRST = re.compile(r"^\s*\(?(?:1|a|i)[.)]\s")
PROCEDURE = re.compile(r"\bhow (?:to|(?:do|can|could|should|must|may|would) (?:i|we|you|one))\b", re.IGNORECASE)
LIST = re.compile(
    r"^\W*(?:please )?(?:list|enumerate|name (?:all|the|some|every)|give (?:me )?(?:all|a list|the list))\b"
    r"|\b(?:what|which) are (?:all|some|the (?:different|various|possible|available)|my|your|our)\b"
    r"|\b(?:what|which) (?:kinds|types|sorts|steps|options|ways|requirements|reasons|formats|roles|settings)\b",
    re.IGNORECASE,
)
JOINT = re.compile(
    r"\?\s+(?=\S)|[,;]?\s+(?:and|plus)\s+(?:also\s+)?(?=(?:what|who|whom|whose|when|where|why|how|which)\b)",
    re.IGNORECASE,
)


class Quoted(NamedTuple):
    """Hold a sentence to quote, as characters of its passage, and how likely, in [0, 1], it answers."""

    passage: Passage
    quote: Span
    confidence: float

    @property
    def place(self) -> tuple[object, int, int]:
        return self.passage.document_id, self.passage.start + self.quote.start, self.passage.start + self.quote.end


def quoted(close: Close, confidence: float) -> Quoted:
    return Quoted(close.evidence.passage, close.sentence.quote, confidence)


def parts_of(question: str) -> list[Asked]:
    """Return the questions that a question joins, each with words of its own to search for; none if it is one."""
    parts = [read_question(part) for part in JOINT.split(question) if part.strip()]
    return parts if len(parts) > 1 and all(map(_stands_alone, parts)) else []


def _stands_alone(part: Asked) -> bool:
    return part.kind != "statement" and len(part.terms) >= LEAST_TERMS


def wants_several(question: str) -> bool:
    """Tell whether a question asks for a list or a procedure."""
    return bool(PROCEDURE.search(question) or LIST.search(question))


def beside(field: Field, best: Quoted, threshold: float) -> list[Quoted]:
    """Return what belongs to the closest sentence: the items after it in its list, else what is as well supported."""
    if not wants_several(field.asked.text):
        return []
    listed = [Quoted(best.passage, quote, best.confidence) for quote in _items_after(field.sentences[0])]
    return listed[:LONGEST_LIST] or list(islice(_supported(field, best, threshold), MOST - 1))


def distinct(found: Sequence[Quoted]) -> list[Quoted]:
    """Return them in the given order, each once."""
    return list({each.place: each for each in reversed(found)}.values())[::-1]


def _items_after(close: Close) -> Iterator[Span]:
    """Yield the items that follow in a list, if the sentence is an item, or the first one comes right after it."""
    following = close.evidence.sentences[close.at + 1 :]
    announces = bool(following) and FIRST.match(following[0].said)
    if not announces and not ITEM.match(close.sentence.said.rpartition("\n")[2]):
        return
    for sentence in following:
        if not ITEM.match(sentence.said):
            return
        yield sentence.quote


def _supported(field: Field, best: Quoted, threshold: float) -> Iterator[Quoted]:
    least = max(threshold, NEARLY * best.confidence)
    said = set(field.sentences[0].sentence.stems)
    for close in field.sentences[1:]:
        stems = set(close.sentence.stems)
        sure = field.confidence(close)
        if sure >= least and len(stems - said) >= FRESH * len(stems):
            said |= stems
            yield quoted(close, sure)
