"""Support: whether a span of a passage says what a sentence claims, by its words, numbers, names and meaning."""

from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import NamedTuple

from kowai.extraction.asked import NEGATIONS
from kowai.extraction.opposites import opposed
from kowai.extraction.words import STOP_WORDS, Word, rarity, stems_of, words_of
from kowai.sentences import Span, sentence_spans
from kowai.types import Passage

LEAST_SUPPORT = 0.5
LEAST_SHARE = 0.3
WORTH_A_SECOND_SENTENCE = 0.15
SHORTLISTED = 3
KEPT = 256  # passages, of some ten kilobytes each
NUMBER_WORDS = ("zero one two three four five six seven eight nine ten eleven twelve").split()
DIGITS = {word: str(number) for number, word in enumerate(NUMBER_WORDS)}


class Reading:
    """Hold what a text says: its content stems with their rarity, its numbers, names and whether it denies."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.words = [word for word in words_of(text) if word.kind != "mark"]

    @cached_property
    def stems(self) -> frozenset[str]:
        return frozenset(word.stem for word in self.words)

    @cached_property
    def content(self) -> dict[str, float]:
        """Return the stems that must be found, with weights in [0.2, 1.2]."""
        kept = [word for word in self.words if word.lower not in STOP_WORDS and word.lower not in NEGATIONS]
        return {word.stem: 0.2 + rarity(word.stem) for word in kept if word.lower not in DIGITS}

    @cached_property
    def numbers(self) -> frozenset[str]:
        return frozenset(number for word in self.words if (number := _number(word)))

    @cached_property
    def names(self) -> frozenset[str]:
        """Return the stems of capitalised words that do not merely open the text."""
        return frozenset(word.stem for word in self.words[1:] if word.text[0].isupper() and word.stem in self.content)

    @cached_property
    def negated(self) -> bool:
        return any(word.lower in NEGATIONS for word in self.words)


class Backing(NamedTuple):
    """Hold a span of a passage that may support a claim, and the share of the claim's words it holds, in [0, 1]."""

    passage: Passage
    span: Span
    share: float

    @property
    def quote(self) -> str:
        return self.passage.text[self.span.start : self.span.end]


def _number(word: Word) -> str | None:
    if word.kind == "number":
        return word.lower.replace(",", "").rstrip(".")
    return DIGITS.get(word.lower)


def backings(claim: Reading, passages: Sequence[Passage]) -> list[Backing]:
    """Return the few spans of the passages that share most words with a claim, best first.

    Two neighbouring sentences are taken together only where the second adds much.
    """
    found: list[Backing] = []
    for passage in passages:
        sentences = _sentences(passage.text)
        single = [Backing(passage, span, _share(claim, stems)) for span, stems in sentences]
        found += single
        for (one, other), ((_, stems), (_, more)) in zip(pairwise(single), pairwise(sentences), strict=True):
            share = _share(claim, stems | more)
            if share >= max(one.share, other.share) + WORTH_A_SECOND_SENTENCE:
                found.append(Backing(passage, Span(one.span.start, other.span.end), share))
    enough = [backing for backing in found if backing.share >= LEAST_SHARE]
    return sorted(enough, key=lambda backing: -backing.share)[:SHORTLISTED]


@lru_cache(KEPT)
def _sentences(text: str) -> list[tuple[Span, frozenset[str]]]:
    """Return the sentences of a passage, which many claims are held against, with their stems."""
    return [(span, stems_of(text[span.start : span.end])) for span in sentence_spans(text)]


def _share(claim: Reading, held: frozenset[str]) -> float:
    total = sum(claim.content.values())
    return sum(weight for stem, weight in claim.content.items() if stem in held) / total if total else 0.0


def support(claim: Reading, backing: Backing, cosine: float) -> float:
    """Return in [0, 1] how well a span supports a claim; 0 where a number, a denial or an opposite contradicts."""
    span = Reading(backing.quote)
    missing = claim.content.keys() - span.stems
    contradicted = (
        not claim.numbers <= span.numbers
        or claim.negated != span.negated
        or any(opposed(stem, span.stems) for stem in missing)
    )
    if contradicted:
        return 0.0
    strangers = len(claim.names - span.stems) / max(1, len(claim.names))
    return max(0.0, min(1.0, 0.6 * backing.share + 0.4 * max(0.0, cosine) - 0.3 * strangers))
