"""The two models of the injection guard: linear, over hashed words and a few measures (see benchmarks/injection)."""

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kowai.injection.features import Vector, buckets, measures, rarity, segments, surroundings, tokens, windows
from kowai.injection.normalising import plain
from kowai.injection.rules import Rule

WEIGHTS = Path(__file__).parent / "weights.npz"


class Linear(NamedTuple):
    """Hold a logistic regression: the weight of each bucket and measure, and the bias."""

    hashed: Vector
    dense: Vector
    bias: float

    def scores(self, said: Sequence[Sequence[str]], dense: Sequence[Sequence[float]]) -> Vector:
        """Return for each text's tokens, its measures a row of `dense`, the log odds that it is an attack."""
        held = [*map(buckets, said)]
        counts = np.array([len(own) for own in held])
        weights = np.append(self.hashed[np.fromiter(chain.from_iterable(held), np.int64, counts.sum())], 0.0)
        words = np.add.reduceat(weights, np.cumsum(counts) - counts) * (counts > 0) / np.sqrt(np.maximum(1, counts))
        return (words + np.array(dense, np.float32) @ self.dense + self.bias).astype(np.float32)


@cache
def linear(name: str) -> Linear:
    with np.load(WEIGHTS) as weights:
        hashed, dense, bias = (weights[f"{name}_{part}"].astype(np.float32) for part in ("hashed", "dense", "bias"))
    return Linear(hashed, dense, float(bias[0]))


def question_score(text: str) -> float:
    """Return the log odds of the strongest window."""
    model = linear("question")
    parts = windows(plain(text))
    return float(model.scores([*map(tokens, parts)], [*map(measures, parts)]).max())


def sentence_scores(text: str, standing: Mapping[str, Rule]) -> list[tuple[int, int, float]]:
    """Return [start, end) and the log odds of each sentence or line that orders the reader of a document about.

    `standing` are the rules that may hit in the text.
    """
    parts = segments(text)
    said = [tokens(part.text) for part in parts]
    judged = [each for each in zip(parts, surroundings(parts, said), said, strict=True) if each[0].is_long_enough]
    if not judged:
        return []
    dense = [measures(part.text, standing) + near for part, near, _ in judged]
    scores = linear("document").scores([each for _, _, each in judged], dense) - rarity(len(parts))
    return [(part.start, part.end, score) for (part, _, _), score in zip(judged, scores.tolist(), strict=True)]


def chance(log_odds: float) -> float:
    """Return the probability that log odds stand for."""
    return float(1 / (1 + np.exp(-np.clip(log_odds, -30, 30))))
