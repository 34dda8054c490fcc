"""How well a short answer fits a question: its shape, its neighbourhood, what it shares with the question."""

from collections.abc import Sequence
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from kowai.extraction.asked import Asked, Kind
from kowai.extraction.candidates import Candidate, Shape
from kowai.extraction.evidence import Sentence
from kowai.extraction.sentence_features import Close
from kowai.extraction.words import STOP_WORDS, rarity

Floats = NDArray[np.float32]

SHAPES: tuple[Shape, ...] = get_args(Shape)
FITTING: dict[Kind, tuple[Shape, ...]] = {
    "person": ("name",), "place": ("name",), "name": ("name",), "date": ("date",), "number": ("number", "date"),
    "reason": ("clause",), "manner": ("clause",), "thing": ("phrase", "name"), "statement": ("phrase",),
}  # fmt: skip
BEFORE = {
    "by": frozenset({"by"}),
    "in": frozenset({"in", "at", "on", "from", "near"}),
    "of": frozenset({"of"}),
    "to": frozenset({"to", "for"}),
    "is": frozenset(["called", "named", "as", "is", "was", "are", "were", "termed", "known"]),
    "the": frozenset(["the", "a", "an", "its", "their", "his", "her"]),
    "with": frozenset(["with", "including", "include", "includes", "such", "like"]),
    "and": frozenset({"and", "or", ","}),
}
AFTER = {
    "of": frozenset({"of"}),
    "stop": frozenset({",", ".", ";", ")"}),
    "is": frozenset(["is", "was", "are", "were", "has", "had", "have"]),
    "and": frozenset({"and", "or"}),
}


def span_features(asked: Asked, close: Close, candidates: Sequence[Candidate]) -> dict[str, Floats]:
    """Describe each candidate of a sentence: name -> (n,)."""
    first = np.array([candidate.first for candidate in candidates])
    last = np.array([candidate.last for candidate in candidates])
    return {
        **_content(asked, close, first, last),
        **_nearness(asked, close, first, last),
        **_neighbours(close.sentence, first, last),
        **_shape(asked, candidates),
    }


def _content(asked: Asked, close: Close, first: NDArray[np.int_], last: NDArray[np.int_]) -> dict[str, Floats]:
    words = close.sentence.words
    asked_words = {word.lower for word in asked.words}
    content = np.array([word.kind != "mark" and word.lower not in STOP_WORDS for word in words])
    matched = _matched(asked, close)
    size = last - first + 1
    inside = np.maximum(1, _sum(content, first, last))
    rare = np.array([rarity(word.stem) for word in words]) * content
    return {
        "size": size,
        "content": _sum(content, first, last),
        "letters": np.array([w.end for w in words])[last] - np.array([w.start for w in words])[first],
        "overlap": _sum(matched > 0, first, last) / inside,
        "overlap_rarity": _sum(matched, first, last) / inside,
        "repeats": _sum(np.array([word.lower in asked_words for word in words]), first, last) > 0,
        "capitals": _sum(np.array([word.text[0].isupper() for word in words]), first, last) / size,
        "figures": _sum(np.array([word.kind == "number" for word in words]), first, last),
        "rare": _sum(rare, first, last) / inside,
        "bracketed": _bracketed(close.sentence)[first],
        "place": first / len(words),
        "whole": ~np.append(content, False)[last + 1] & ~np.append(content, False)[first - 1],
    }


def _matched(asked: Asked, close: Close) -> Floats:
    """Return for each word of the sentence the weight of the term it matches, else 0."""
    weights: dict[str, float] = {}
    for term, match in close.matches.items():
        weights[match.stem] = max(weights.get(match.stem, 0.0), asked.terms[term] * match.strength)
    return np.array([weights.get(w.stem, 0.0) if w.kind != "mark" else 0.0 for w in close.sentence.words], np.float32)


def _nearness(asked: Asked, close: Close, first: NDArray[np.int_], last: NDArray[np.int_]) -> dict[str, Floats]:
    """Describe how near a candidate stands to the terms that the sentence shares with the question."""
    matched = _matched(asked, close)
    terms = np.flatnonzero(matched)
    before = np.maximum(first[:, None] - terms, 0)
    after = np.maximum(terms - last[:, None], 0)
    gap = before + after
    outside = gap > 0
    focus = np.array(close.sentence.places.get(asked.focus or "", ()), int)
    away = np.maximum(first[:, None] - focus, 0) + np.maximum(focus - last[:, None], 0)
    edges = np.pad(matched, 1)
    return {
        "near": (outside * matched[terms] * np.exp(-gap / 4)).sum(1) / max(1e-6, sum(asked.terms.values())),
        "nearest": np.where(outside, gap, 30).min(1, initial=30),
        "before": (before > 0).sum(1) / max(1, len(terms)),
        "after": (after > 0).sum(1) / max(1, len(terms)),
        "left_matched": edges[first],
        "right_matched": edges[last + 2],
        "has_focus": (away == 0).any(1),
        "near_focus": ((away > 0) & (away <= 2)).any(1),
    }


def _neighbours(sentence: Sentence, first: NDArray[np.int_], last: NDArray[np.int_]) -> dict[str, Floats]:
    lower = ["", *(word.lower for word in sentence.words), ""]
    left = {f"after_{name}": np.array([word in some for word in lower])[first] for name, some in BEFORE.items()}
    right = {f"before_{name}": np.array([word in some for word in lower])[last + 2] for name, some in AFTER.items()}
    return {**left, **right}


def _shape(asked: Asked, candidates: Sequence[Candidate]) -> dict[str, Floats]:
    shapes = np.array([candidate.shape for candidate in candidates])
    fitting = {"fits": np.isin(shapes, FITTING[asked.kind])}
    return {**fitting, **{f"is_{shape}": shapes == shape for shape in SHAPES}}


def _bracketed(sentence: Sentence) -> Floats:
    """Return for each word whether it stands in brackets."""
    steps = np.array([(word.text == "(") - (word.text == ")") for word in sentence.words])
    return np.maximum(0, np.cumsum(steps)) > 0


def _sum(values: NDArray[np.generic], first: NDArray[np.int_], last: NDArray[np.int_]) -> Floats:
    """Return the sum of values[first..last] for each candidate."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    return total[last + 1] - total[first]
