"""Whether what people and a judge think of answers has fallen since a version went live."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kowai.bootstrap import ROUNDS, SEED
from kowai.types import Value

LEAST_SCORES = 10  # on each side; fewer say nothing
MARGIN, SURE = 0.05, 0.95  # a roll-back on chance would be a change that nobody asked for


class Fall(Value):
    """Hold the mean scores before and after, in [0, 1], and how likely the fall is beyond the margin."""

    before: float
    after: float
    likelihood: float


def fall(before: Sequence[float], after: Sequence[float]) -> Fall | None:
    """Return how scores changed, by a bootstrap of both sides with a fixed seed; None where too few are known."""
    if min(len(before), len(after)) < LEAST_SCORES:
        return None
    random = np.random.default_rng(SEED)
    old, new = (_means(side, random) for side in (before, after))
    likelihood = float(np.mean(old - new > MARGIN))
    return Fall(before=float(np.mean(before)), after=float(np.mean(after)), likelihood=likelihood)


def _means(scores: Sequence[float], random: np.random.Generator) -> NDArray[np.float64]:
    """Return the mean of each resample, shape (rounds,)."""
    return np.array(scores, np.float64)[random.integers(0, len(scores), (ROUNDS, len(scores)))].mean(axis=1)


def is_certain(found: Fall | None) -> bool:
    return found is not None and found.likelihood >= SURE
