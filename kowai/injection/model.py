"""The two models of the injection guard: linear, over hashed words and a few measures (see benchmarks/injection)."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kowai.injection.features import Indices, Vector, hashed, measures, rarity, segments, surroundings, windows
from kowai.injection.normalising import plain
from kowai.injection.rules import Rule

WEIGHTS = Path(__file__).parent / "weights.npz"


class Linear(NamedTuple):
    """Hold a logistic regression: the weight of each bucket and measure, and the bias."""

    hashed: Vector
    dense: Vector
    bias: float

    def score(self, buckets: Indices, dense: Vector) -> float:
        """Return the log odds that this is an attack."""
        words = self.hashed[buckets].sum() / np.sqrt(max(1, len(buckets)))
        return float(words + self.dense @ dense + self.bias)


@cache
def linear(name: str) -> Linear:
    with np.load(WEIGHTS) as weights:
        hashed, dense, bias = (weights[f"{name}_{part}"].astype(np.float32) for part in ("hashed", "dense", "bias"))
    return Linear(hashed, dense, float(bias[0]))


def question_score(text: str) -> float:
    """Return the log odds of the strongest window."""
    model = linear("question")
    return max(model.score(hashed(window), measures(window)) for window in windows(plain(text)))


def sentence_scores(text: str, standing: Mapping[str, Rule]) -> list[tuple[int, int, float]]:
    """Return [start, end) and the log odds of each sentence or line that orders the reader of a document about.

    `standing` are the rules that may hit in the text.
    """
    model = linear("document")
    parts = segments(text)
    rare = rarity(len(parts))
    return [
        (part.start, part.end, model.score(hashed(part.text), np.append(measures(part.text, standing), near)) - rare)
        for part, near in zip(parts, surroundings(parts), strict=True)
        if part.is_long_enough
    ]


def chance(log_odds: float) -> float:
    """Return the probability that log odds stand for."""
    return float(1 / (1 + np.exp(-np.clip(log_odds, -30, 30))))
