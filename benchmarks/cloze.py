"""Questions made of plain sentences: one span of a sentence is asked for, or can no longer be found in it.

They teach a reader of question and sentence what to look for before it sees the few questions that people wrote.
"""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from kowai.extraction.words import STOP_WORDS

SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
WORD = re.compile(r"[\w%$][\w\-'%.,]*[\w%]|\w")
YEAR = re.compile(r"(1\d|20)\d\d")
SHORTEST, LONGEST = 40, 200
NUMBERS = ("how many", "how much", "what number", "what percentage")
NAMES = ("who", "what", "which", "where", "who", "what")
THINGS = ("what", "what", "what", "which", "how", "why", "what type of")
SWAPPED, FOREIGN, CUT = 0.33, 0.43, 0.52  # up to which dice a question has no answer, and why

Alike = Callable[[str, random.Random], str | None]


class Cloze(NamedTuple):
    """Hold a question, a sentence and the characters of the answer in it; None where it holds none."""

    question: str
    sentence: str
    answer: tuple[int, int] | None


class Part(NamedTuple):
    text: str
    start: int
    end: int

    @property
    def counts(self) -> bool:
        return self.text.lower() not in STOP_WORDS and (len(self.text) > 2 or self.is_number)

    @property
    def is_number(self) -> bool:
        return any(character.isdigit() for character in self.text)

    def could_be(self, other: "Part") -> bool:
        """Say whether one could stand for the other: both numbers or not, both capital or not."""
        alike = self.text[0].isupper() == other.text[0].isupper()
        return self.counts and self.is_number == other.is_number and alike


def clozes(texts: Sequence[str], alike: Alike, dice: random.Random) -> Iterator[Cloze]:
    """Yield a question for each sentence that gives one; `alike` names a word that means about the same."""
    for text in texts:
        said = [each.strip() for each in SENTENCE.split(text) if SHORTEST < len(each) < LONGEST]
        for sentence in said:
            others = [other for other in said if other != sentence]
            found = _cloze(sentence, others, alike, dice)
            if found:
                yield found


def _cloze(sentence: str, others: Sequence[str], alike: Alike, dice: random.Random) -> Cloze | None:
    parts = _parts(sentence)
    spans = list(_spans(parts))
    if len(spans) < 3:
        return None
    first, last = dice.choice(spans)
    if dice.random() < 0.4:
        first = dice.randint(first, last)
    left, right = parts[max(0, first - dice.randint(2, 9)) : first], parts[last + 1 : last + 1 + dice.randint(2, 9)]
    asked = _noisy(dice.choices([right + left, left + right, left, right], [45, 30, 10, 15])[0], alike, dice)
    places = [place for place, part in enumerate(asked) if part.counts]
    if len(places) < 2:
        return None
    start, end, kind = parts[first].start, parts[last].end, dice.random()
    answer: tuple[int, int] | None = (start, end)
    if kind < SWAPPED:
        place, answer = dice.choice(places), None
        foreign = [each for other in others for each in _parts(other) if each.could_be(asked[place])]
        foreign = [each for each in foreign if each.text.lower() not in sentence.lower()]
        if not foreign:
            return None
        asked[place] = dice.choice(foreign)
    elif kind < FOREIGN and others:
        sentence, answer = dice.choice(others), None
    elif kind < CUT:
        sentence, answer = sentence[:start] + sentence[end:].lstrip(), None
    words = " ".join([_asking(parts[first : last + 1], first, dice), *(part.text for part in asked)])
    spelt = words[0].upper() + words[1:] if dice.random() < 0.7 else words
    return Cloze(spelt + "?" * (dice.random() < 0.9), sentence, answer)


def _parts(sentence: str) -> list[Part]:
    return [Part(found.group(), found.start(), found.end()) for found in WORD.finditer(sentence)]


def _spans(parts: Sequence[Part]) -> Iterator[tuple[int, int]]:
    """Yield runs of up to four neighbouring words that count."""
    start = 0
    for place, (one, after) in enumerate(pairwise([*parts, Part("", -1, -1)])):
        if not one.counts:
            start = place + 1
        elif not after.text or not after.counts or after.start - one.end != 1 or place - start == 3:
            yield start, place
            start = place + 1


def _noisy(parts: Sequence[Part], alike: Alike, dice: random.Random) -> list[Part]:
    """Leave out some words and say some otherwise."""
    found: list[Part] = []
    for part in parts:
        if dice.random() < (0.08 if part.counts else 0.35):
            continue
        other = alike(part.text, dice) if part.counts and not part.is_number and dice.random() < 0.2 else None
        found.append(part._replace(text=other or part.text))
    return found


def _asking(answer: Sequence[Part], place: int, dice: random.Random) -> str:
    if numbers := [part.text for part in answer if part.is_number]:
        return dice.choice(("when", "what year", "when did") if YEAR.fullmatch(numbers[0]) else NUMBERS)
    return dice.choice(NAMES if place and answer[0].text[0].isupper() else THINGS)
