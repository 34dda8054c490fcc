"""Claims: the sentences of a written answer, each with the passages it says it rests on."""

import re
from typing import NamedTuple

from kowai.extraction.words import STOP_WORDS, words_of
from kowai.sentences import sentence_spans

MARKER = re.compile(r"\s*\[(\d{1,3})\]")
FEWEST_WORDS = 2


class Claim(NamedTuple):
    """Hold a sentence with the gap before it, the part of it that needs support, and the passages it names."""

    gap: str
    text: str
    core: str
    marked: tuple[int, ...]


def claims_of(answer: str) -> list[Claim]:
    """Split an answer into claims; what only leads on ("Yes.", "There are two:") belongs to the sentence after it."""
    bare = MARKER.sub("", answer)
    spans, marks = sentence_spans(bare), _marks(answer)
    found: list[Claim] = []
    opened, ended = None, 0
    for number, span in enumerate(spans):
        last = number + 1 == len(spans)
        opened = span.start if opened is None else opened
        if not last and _leads(bare[span.start : span.end]):
            continue
        until = len(bare) + 1 if last else spans[number + 1].start
        marked = tuple(dict.fromkeys(mark for place, mark in marks if opened < place <= until))
        found.append(Claim(bare[ended:opened], bare[opened : span.end], bare[span.start : span.end], marked))
        opened, ended = None, span.end
    return found


def _leads(sentence: str) -> bool:
    words = [word for word in words_of(sentence) if word.kind != "mark" and word.lower not in STOP_WORDS]
    return len(words) < FEWEST_WORDS or sentence.endswith((":", "："))


def _marks(answer: str) -> list[tuple[int, int]]:
    """Return (place in the text without markers, number) of each marker."""
    removed, marks = 0, list[tuple[int, int]]()
    for match in MARKER.finditer(answer):
        marks.append((match.start() - removed, int(match[1])))
        removed += match.end() - match.start()
    return marks
