"""Put candidates in order: one score from meaning and words, and no list full of one document."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from kowai.duplicates import LIKE, SHINGLE, words
from kowai.extraction.asked import read_question
from kowai.extraction.defining import asks_what_it_is, defines
from kowai.terms import known_as, plain_words

Numbers = NDArray[np.floating[Any]]

LEXICAL = 0.7  # what a strong lexical match weighs beside a cosine similarity of 1
PHRASE = 0.2  # what neighbouring words of the question weigh where they meet again, beside the words themselves
DEFINED = 0.4  # what saying what a thing is weighs, where the question asks just that
WITHIN = 3  # words from one neighbour to the next
READ = 40  # candidates whose text is read for phrases
FEEDBACK, EXAMPLES = 0.3, 2  # what likeness to the best candidates weighs beside likeness to the question
ALIKE = 0.9  # cosine similarity below which two passages are not compared by their words
REPEAT, LARGEST_REPEAT = 1.0, 0.4  # what a document listed before pays, divided by the number of its candidates


class Candidate(NamedTuple):
    """Hold a chunk that may answer: the cosine similarity of its vector, unknown without one, and its BM25 score."""

    chunk_id: int
    document_id: UUID
    external_id: str
    title: str | None
    version: int
    page: int | None
    start: int
    end: int
    heading_path: str
    text: str
    dense: float | None
    lexical: float


class Wanted(NamedTuple):
    """Hold a question, its words in order, how rare the known ones are, and the scale of a strong match of them."""

    question: str
    words: Sequence[str]
    rarity: Mapping[str, float]
    rarest: float
    strong: float


def rank(candidates: Sequence[Candidate], vectors: Numbers, wanted: Wanted, k: int) -> list[tuple[Candidate, float]]:
    """Return the best k candidates, best first, scored in [0, 1] on a scale that is the same for every question.

    Cosine similarity and BM25 are added, not their ranks: BM25 in units of a strong match of so many terms, so that
    common words leave the order to meaning and rare words take it. `vectors` holds a row a candidate, shape (n, d).
    """
    dense = np.array([candidate.dense or 0.0 for candidate in candidates])
    lexical = np.array([candidate.lexical for candidate in candidates]) / wanted.strong
    lexical += PHRASE * phrases(candidates, dense + LEXICAL * lexical, wanted)
    evidence = with_feedback(dense, dense + LEXICAL * lexical, vectors) + LEXICAL * lexical
    evidence += DEFINED * definitions(candidates, wanted.question)
    repeats = Repeats(candidates, vectors, set(wanted.words))
    chosen = diversify(evidence, [candidate.document_id for candidate in candidates], k, repeats)
    return [(candidates[index], min(1.0, max(0.0, value / (1 + LEXICAL)))) for index, value in chosen]


def phrases(candidates: Sequence[Candidate], evidence: Numbers, wanted: Wanted) -> Numbers:
    """Return how much of the question's neighbourhoods each of the best candidates keeps, shape (n,)."""
    known = [word for word in wanted.words if word in wanted.rarity]
    pairs = {(a, b): (wanted.rarity[a] + wanted.rarity[b]) / 2 for a, b in pairwise(known) if a != b}
    kept = np.zeros(len(candidates))
    if not pairs:
        return kept
    best: list[int] = np.argsort(-evidence, kind="stable")[:READ].tolist()
    for index in best:
        chunk = candidates[index]
        places = _places(f"{known_as(chunk.title, chunk.external_id)} {chunk.heading_path} {chunk.text}", set(known))
        kept[index] = sum(weight for (a, b), weight in pairs.items() if _meet(places.get(a, []), places.get(b, [])))
    return kept / (wanted.rarest * len(pairs) ** 0.5)


def definitions(candidates: Sequence[Candidate], question: str) -> Numbers:
    """Return 1 for each candidate that says what a thing is, where the question asks just that, else 0, shape (n,)."""
    asked = read_question(question)
    if not asks_what_it_is(asked):
        return np.zeros(len(candidates))
    return np.array([float(defines(asked, candidate.text)) for candidate in candidates])


def _places(text: str, wanted: set[str]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for place, word in enumerate(plain_words(text)):
        if word in wanted:
            places.setdefault(word, []).append(place)
    return places


def _meet(first: list[int], second: list[int]) -> bool:
    return any(0 < b - a <= WITHIN for a in first for b in second)


def with_feedback(dense: Numbers, evidence: Numbers, vectors: Numbers) -> Numbers:
    """Move the question towards its best candidates (Rocchio): what those share, others that answer it share too."""
    if not len(vectors):
        return dense
    examples = vectors[np.argsort(-evidence, kind="stable")[:EXAMPLES]].mean(axis=0)
    return (dense + FEEDBACK * (vectors @ examples)) / (1 + FEEDBACK)


class Repeats:
    """Tell whether a candidate only repeats another: most of its words in the same order, and all that may matter.

    What may matter is every number, and every word of the question, wherever it stands.
    """

    def __init__(self, candidates: Sequence[Candidate], vectors: Numbers, asked: set[str]) -> None:
        self._candidates, self._vectors, self._asked = candidates, vectors, asked
        self._said: dict[int, tuple[frozenset[str], set[tuple[str, ...]]]] = {}

    def __call__(self, first: int, second: int) -> bool:
        if len(self._vectors) and not float(self._vectors[first] @ self._vectors[second]) >= ALIKE:
            return False
        (key, runs), (other_key, others) = self._read(first), self._read(second)
        return key == other_key and len(runs & others) >= LIKE * len(runs | others)

    def _read(self, index: int) -> tuple[frozenset[str], set[tuple[str, ...]]]:
        """Return what may matter of a candidate, and its runs of words."""
        if index not in self._said:
            chunk = self._candidates[index]
            said = words(chunk.text)
            named = plain_words(f"{known_as(chunk.title, chunk.external_id)} {chunk.heading_path} {chunk.text}")
            numbers = {word for word in said if any(map(str.isdigit, word))}
            runs = set(zip(*(said[place:] for place in range(SHINGLE)), strict=False)) or {tuple(said)}
            self._said[index] = frozenset(numbers | self._asked.intersection(named)), runs
        return self._said[index]


def never(_first: int, _second: int) -> bool:
    return False


def diversify(
    evidence: Numbers, documents: Sequence[UUID], k: int, repeats: Callable[[int, int], bool] = never
) -> list[tuple[int, float]]:
    """Return the indices of k candidates in order, with what they were worth when chosen, which never rises.

    The second passage of a short document says little that is new, the tenth of a long one may be the answer. One that
    repeats what was chosen is left out.
    """
    numbers = {document: number for number, document in enumerate(dict.fromkeys(documents))}
    group = np.array([numbers[document] for document in documents], np.intp)
    price = np.minimum(LARGEST_REPEAT, REPEAT / np.bincount(group))
    left, listed = evidence.astype(float), set[int]()
    chosen: list[tuple[int, float]] = []
    for _ in documents:
        index = int(np.argmax(left))
        worth, left[index] = float(left[index]), -np.inf
        if any(repeats(index, other) for other, _ in chosen):
            continue
        chosen.append((index, worth))
        if len(chosen) == k:
            break
        if group[index] not in listed:
            listed.add(int(group[index]))
            left[group == group[index]] -= price[group[index]]
    return chosen
