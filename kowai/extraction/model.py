"""The trained judge: which short answer is the best supported, and whether anything answers the question at all."""

from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kowai.errors import Misconfigured
from kowai.extraction.reading import Reading

Floats = NDArray[np.float32]


class Judge(NamedTuple):
    """Hold an ensemble of k small networks over f features, s of them of the sentence (see benchmarks/EXTRACTION.md)."""

    names: NDArray[np.str_]
    mean: Floats  # (f,)
    scale: Floats  # (f,)
    hidden: Floats  # (k, f, h)
    hidden_bias: Floats  # (k, 1, h)
    second: Floats  # (k, h, h)
    second_bias: Floats  # (k, 1, h)
    rank: Floats  # (k, h)
    rank_bias: Floats  # (k,)
    answer: Floats  # (k, h + 3 + s, m)
    answer_bias: Floats  # (k, m)
    support: Floats  # (k, m)
    support_bias: Floats  # (k,)
    calibration: Floats  # slope and intercept from the mean logit to the log-odds of the confidence
    threshold: Floats  # the confidence under which an answer is withheld


class Judgement(NamedTuple):
    """Hold the share of each candidate in the answer (n,), which sum to 1, and the confidence in [0, 1]."""

    shares: Floats
    confidence: float


@cache
def judge() -> Judge:
    """Load the weights that come with KowAI."""
    with files("kowai.extraction").joinpath("weights.npz").open("rb") as file:
        stored = np.load(file, allow_pickle=False)
        return Judge(*(stored[name] if stored[name].dtype.kind == "U" else stored[name].astype(np.float32) for name in Judge._fields))


def assess(reading: Reading, by: Judge) -> Judgement:
    """Judge what was read. Raises Misconfigured when the weights were trained on other features."""
    if tuple(by.names) != reading.names:
        raise Misconfigured("The weights of the extractive answerer do not fit this version: install KowAI again.")
    inputs = (normal(reading.features) - by.mean) / by.scale
    logits, shares = zip(*(_one(inputs, by, member) for member in range(len(by.rank))), strict=True)
    slope, intercept = by.calibration
    return Judgement(np.mean(shares, 0), float(_sigmoid(slope * np.mean(logits) + intercept)))


def normal(features: Floats) -> Floats:
    """Draw in large values: counts become logarithms."""
    return np.sign(features) * np.log1p(np.abs(features))


def _one(inputs: Floats, by: Judge, k: int) -> tuple[float, Floats]:
    """Return one member's logit of support and its shares (n,)."""
    inner = np.maximum(inputs @ by.hidden[k] + by.hidden_bias[k], 0)
    inner = np.maximum(inner @ by.second[k] + by.second_bias[k], 0)
    scores = inner @ by.rank[k] + by.rank_bias[k]
    best = scores.max()
    weights = np.exp(scores - best)
    shares = weights / weights.sum()
    spread = -(shares * np.log(np.maximum(shares, 1e-12))).sum()
    of_sentence = by.answer.shape[1] - inner.shape[1] - 3
    pooled = np.concatenate([shares @ inner, [best / 5, np.log(weights.sum()), spread], shares @ inputs[:, :of_sentence]])
    joint = np.maximum(pooled @ by.answer[k] + by.answer_bias[k], 0)
    return float(joint @ by.support[k] + by.support_bias[k]), shares


def _sigmoid(logit: float) -> float:
    return 1.0 / (1.0 + np.exp(-np.clip(logit, -30.0, 30.0)))
