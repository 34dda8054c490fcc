"""Evidence: the sentences of the retrieved passages, and which of a question's terms each of them holds."""

import re
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from math import log
from typing import NamedTuple

from kowai.extraction.asked import NEGATIONS, Asked
from kowai.extraction.words import Word, rarity, stems_of, words_of
from kowai.sentences import Span, sentence_spans
from kowai.types import Passage

MOST_SENTENCES = 400
MOST_CHARACTERS = 50_000
PREFIX = 4
ALIKE = 0.6
QUOTED_QUESTION = re.compile(r'["“„«][^"“”„«»]*[?？]["“”»]')  # holds a question's words, and answers none


class Quotable(NamedTuple):
    """Hold a sentence's place with the headings that give it meaning, and the part of it to quote."""

    span: Span
    quote: Span


class Sentence:
    """Hold a sentence without the questions it quotes; its words and their places are found when asked for."""

    def __init__(self, text: str, quotable: Quotable) -> None:
        self.text = QUOTED_QUESTION.sub("", text[quotable.span.start : quotable.span.end])
        self.quote = quotable.quote
        self.said = text[quotable.quote.start : quotable.quote.end]
        self.stems = stems_of(self.text)

    @cached_property
    def words(self) -> list[Word]:
        return words_of(self.text)

    @cached_property
    def places(self) -> dict[str, list[int]]:
        """Return where in the sentence each stem stands."""
        found: dict[str, list[int]] = {}
        for place, word in enumerate(self.words):
            if word.kind != "mark":
                found.setdefault(word.stem, []).append(place)
        return found

    @cached_property
    def negated(self) -> bool:
        return any(word.lower in NEGATIONS for word in self.words)


class Match(NamedTuple):
    """Hold the stem of a sentence that a term matches, and how well, in [0, 1]."""

    stem: str
    strength: float


Matches = dict[str, Match]


class Evidence(NamedTuple):
    """Hold one passage's sentences and, for each, its matches with the question's terms."""

    passage: Passage
    rank: int
    sentences: tuple[Sentence, ...]
    matches: tuple[Matches, ...]


def gather(asked: Asked, passages: Sequence[Passage]) -> list[Evidence]:
    """Split passages into sentences, at most 400, each once, and match them with the question."""
    seen: set[tuple[object, int, int]] = set()
    found: list[Evidence] = []
    room = MOST_SENTENCES
    for rank, passage in enumerate(passages):
        fresh: list[Quotable] = []
        for each in quotables(passage.text)[:room]:
            key = (passage.document_id, passage.start + each.span.start, passage.start + each.span.end)
            if key not in seen:
                fresh.append(each)
                seen.add(key)
        room -= len(fresh)
        sentences = tuple(Sentence(passage.text, each) for each in fresh)
        found.append(Evidence(passage, rank, sentences, tuple(match(asked, sentence) for sentence in sentences)))
    return found


def quotables(text: str) -> list[Quotable]:
    """Return a text's sentences, each heading and question joined to the one after it: neither answers alone.

    A heading of one or two words that ends the text, cut off from what it announces, is left out.
    """
    joined: list[Quotable] = []
    opening, said = None, ""
    for span in sentence_spans(text[:MOST_CHARACTERS]):
        said = text[span.start : span.end]
        start, quoted = (opening.span.start, opening.quote) if opening else (span.start, span)
        bare = opening is not None and _is_heading(text[quoted.start : quoted.end])
        found = Quotable(Span(start, span.end), span if bare else Span(quoted.start, span.end))
        opening = found if _leads(said) and span.end - start < 200 else None
        if opening is None:
            joined.append(found)
    cut_off = opening and joined and opening.span == opening.quote and len(said.split()) <= 2 and ":" not in said
    return [*joined, opening] if opening and not cut_off else joined


def _leads(sentence: str) -> bool:
    """Say whether a sentence only announces the next: a heading, a question, or words before a colon."""
    return sentence.endswith(("?", "？", ":", "：")) or _is_heading(sentence)


def _is_heading(sentence: str) -> bool:
    plain = sentence[0].isalnum() and sentence[-1].isalnum() and not any(character.isdigit() for character in sentence)
    return sentence.startswith("#") or (plain and len(sentence) < 60 and sentence.count(" ") < 6)


def match(asked: Asked, sentence: Sentence) -> Matches:
    """Find each term of the question in a sentence: the same stem, one joined with its particle, or one alike."""
    found: Matches = {}
    for term in asked.terms:
        joined = asked.joined.get(term)
        if joined in sentence.stems:
            found[term] = Match(joined, 1.0)
        elif term in sentence.stems:
            found[term] = Match(term, 1.0)
        elif len(term) > PREFIX:
            begin = term[:PREFIX]
            alike, root = max(
                [(_alike(term, root), root) for root in sentence.stems if root.startswith(begin)], default=(0.0, "")
            )
            if alike >= ALIKE:
                found[term] = Match(root, 0.5 + 0.3 * alike)
    return found


def _alike(one: str, other: str) -> float:
    """Return the share of the longer word's letters that both words begin with."""
    same = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return same / max(len(one), len(other))


def telling(asked: Asked, evidence: Sequence[Evidence]) -> Asked:
    """Return the question with its terms weighed as these passages tell: what most sentences hold singles none out."""
    found = [pair for passage in evidence for matches in passage.matches for pair in matches.items()]
    held = Counter(term for term, _ in found)
    rare = asked.terms | {term: rarity(match.stem) for term, match in found if match.stem == asked.joined.get(term)}
    sentences = sum(len(passage.sentences) for passage in evidence)
    return asked._replace(terms={term: rare[term] * log((sentences + 1) / (held[term] + 0.5)) for term in rare})


def coverage(asked: Asked, *matches: Matches) -> float:
    """Return which share of the question's terms, weighted by rarity, the matches hold together, in [0, 1]."""
    total = sum(asked.terms.values())
    best: dict[str, float] = {}
    for one in matches:
        for term, match in one.items():
            best[term] = max(best.get(term, 0.0), match.strength)
    held = sum(asked.terms[term] * strength for term, strength in best.items())
    return held / total if total else 0.0
