"""Reading: choose the few sentences worth embedding, then the fewer worth searching for a short answer."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kowai.extraction.asked import Asked
from kowai.extraction.candidates import Candidate, candidates_of
from kowai.extraction.evidence import Evidence, coverage
from kowai.extraction.sentence_features import Close, sentence_features
from kowai.extraction.span_features import span_features

EMBEDDED = 3
SEARCHED = 3

Place = tuple[Evidence, int]


class Reading(NamedTuple):
    """Hold what was read: candidates with their features (n, f), and for each the number of its sentence in `field`."""

    field: tuple[Close, ...]
    candidates: tuple[Candidate, ...]
    owners: NDArray[np.int_]
    names: tuple[str, ...]
    features: NDArray[np.float32]

    def quote(self, number: int, candidate: Candidate) -> str:
        """Return the words of a candidate of sentence `number`, as they stand there."""
        sentence = self.field[number].sentence
        return sentence.text[sentence.words[candidate.first].start : sentence.words[candidate.last].end]


def shortlist(asked: Asked, evidence: Sequence[Evidence]) -> list[Place]:
    """Return the sentences that share most with the question, best first."""
    scored: list[tuple[float, int, Place]] = []
    for passage in evidence:
        whole = 0.3 * coverage(asked, *passage.matches) - 0.02 * passage.rank
        for index, matches in enumerate(passage.matches):
            before = coverage(asked, *passage.matches[max(0, index - 1) : index + 1])
            scored.append((coverage(asked, matches) + 0.5 * before + whole, -len(scored), (passage, index)))
    return [place for _, _, place in sorted(scored, key=lambda item: item[:2], reverse=True)[:EMBEDDED]]


def closest(asked: Asked, places: Sequence[Place], cosines: Sequence[float]) -> tuple[Close, ...]:
    """Return the shortlisted sentences in the order of words and meaning together."""
    field = [Close(evidence, index, cosine) for (evidence, index), cosine in zip(places, cosines, strict=True)]
    return tuple(sorted(field, key=lambda close: -_closeness(asked, close)))


def _closeness(asked: Asked, close: Close) -> float:
    matches = close.evidence.matches
    before = coverage(asked, *matches[max(0, close.index - 1) : close.index + 1])
    return 0.5 * coverage(asked, close.matches) + 0.3 * before + close.cosine


def read(asked: Asked, field: tuple[Close, ...]) -> Reading:
    """Describe each possible short answer of the closest sentences; a sentence without one stands for itself."""
    found: list[Candidate] = []
    owners: list[int] = []
    blocks: list[NDArray[np.float32]] = []
    names: tuple[str, ...] = ()
    for number, close in enumerate(field[:SEARCHED]):
        words = close.sentence.words
        candidates = candidates_of(words) or [Candidate(0, len(words) - 1, "clause")]
        sentence = {**sentence_features(asked, close, field), "place_in_field": float(number)}
        spans = span_features(asked, close, candidates)
        names = (*sentence, *spans)
        block = np.empty((len(candidates), len(names)), np.float32)
        block[:, : len(sentence)] = list(sentence.values())
        block[:, len(sentence) :] = np.stack([np.asarray(column, np.float32) for column in spans.values()], 1)
        found += candidates
        owners += [number] * len(candidates)
        blocks.append(block)
    return Reading(field, tuple(found), np.array(owners, int), names, np.concatenate(blocks))
