"""Confidence intervals by resampling the cases (Efron, 1979), always with the same seed."""

from collections.abc import Sequence

import numpy as np

from kowai.scores import METRICS, Floats, Outcome, by_persona, ratios, sums
from kowai.types import Value

SEED, ROUNDS, LEVEL = 20_250_101, 1_000, 0.95
AT_ONCE = 2_000_000  # numbers held for one block of resamples


class Estimate(Value):
    """Hold a metric's value, its 95 % percentile interval and how many cases it is known for."""

    value: float
    low: float
    high: float
    cases: int


def resampled(rows: Floats, *, rounds: int = ROUNDS, seed: int = SEED) -> Floats:
    """Return the column sums of `rounds` samples of the rows with replacement: shape (rounds, columns)."""
    count = len(rows)
    random = np.random.default_rng(seed)
    block = max(1, AT_ONCE // max(1, count))
    drawn: list[Floats] = []
    for start in range(0, rounds, block):
        size = min(block, rounds - start)
        chosen = random.integers(0, count, (size, count))
        chosen += count * np.arange(size)[:, None]
        often = np.bincount(chosen.ravel(), minlength=size * count).reshape(size, count)
        drawn.append(often @ rows)
    return np.concatenate(drawn)


def estimates(outcomes: Sequence[Outcome]) -> dict[str, dict[str, Estimate]]:
    """Return for each persona every metric that is known of it."""
    return {persona: _estimates(each) for persona, each in by_persona(outcomes).items()}


def _estimates(outcomes: Sequence[Outcome]) -> dict[str, Estimate]:
    rows = sums(outcomes, list(METRICS))
    values, drawn, known = ratios(rows.sum(axis=0)), ratios(resampled(rows)), (rows[:, 1::2] > 0).sum(axis=0)
    found: dict[str, Estimate] = {}
    for place, metric in enumerate(METRICS):
        if np.isnan(values[place]):
            continue
        low, high = interval(drawn[:, place])
        found[metric] = Estimate(value=float(values[place]), low=low, high=high, cases=int(known[place]))
    return found


def interval(drawn: Floats, level: float = LEVEL) -> tuple[float, float]:
    """Return the percentiles that hold the middle `level` of the known values."""
    tail = (1 - level) / 2
    low, high = np.nanquantile(drawn, (tail, 1 - tail))
    return float(low), float(high)
