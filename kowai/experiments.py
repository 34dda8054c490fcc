"""Experiments: who gets which version, and when enough is known to say that one is better.

The intervals are always valid: they may be looked at after every outcome, and the experiment stopped by them, without
more than `alpha` of the experiments without a difference ever showing one. They invert the mixture sequential
probability ratio test for the difference of two means (Robbins, 1970; Johari et al., 2017), variances plugged in.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple
from uuid import UUID

import numpy as np

from kowai.flags import bucket
from kowai.types import Value

Arm = Literal["control", "candidate"]
MetricName = Literal["feedback", "judge", "cost", "latency"]
Outcome = Literal["won", "lost", "stopped"]

ALPHA = 0.05
LEAST_OUTCOMES = 30  # of each arm, for the plugged-in variances to mean something


class Goal(NamedTuple):
    """Say what a metric counts and which way it is better; `spread` is the size of the differences looked for.

    A relative metric is compared by its logarithm, so that its lift is a share of the control's.
    """

    unit: str
    better: Literal["higher", "lower"]
    spread: float
    relative: bool = False


GOALS: dict[str, Goal] = {
    "feedback": Goal("share of rated answers that were liked", "higher", 0.1),
    "judge": Goal("mean verdict of the model judge", "higher", 0.1),
    "cost": Goal("US dollars an answer", "lower", 0.2, relative=True),
    "latency": Goal("seconds an answer", "lower", 0.2, relative=True),
}


class Running(Value):
    """Hold what is needed to let a question take part: null versions are what the files and blocks say."""

    id: UUID
    slot: str
    share: float
    unit: Literal["conversation", "caller"]
    control_id: UUID | None
    version_id: UUID


class Lift(Value):
    """Compare the arms: `lift` is the candidate's mean less the control's, or the relative change; None is unknown.

    `low` and `high` bound it at every moment with the level 1 - alpha.
    """

    control: float | None
    candidate: float | None
    control_outcomes: int
    candidate_outcomes: int
    lift: float | None = None
    low: float | None = None
    high: float | None = None


def arm_of(experiment: UUID, unit: str, share: float) -> Arm:
    """Return the arm of a conversation or caller, always the same one."""
    return "candidate" if bucket(str(experiment), unit) < share else "control"


def lift(control: Sequence[float], candidate: Sequence[float], metric: str, alpha: float = ALPHA) -> Lift:
    """Return the lift with its always-valid interval, which is unknown before both arms have outcomes enough."""
    goal = GOALS[metric]
    sides = [
        np.array([each for each in side if each > 0 or not goal.relative], np.float64) for side in (control, candidate)
    ]
    means = [float(side.mean()) if len(side) else None for side in sides]
    told = {"control": means[0], "candidate": means[1]}
    counted = Lift(**told, control_outcomes=len(sides[0]), candidate_outcomes=len(sides[1]))
    if min(map(len, sides)) < LEAST_OUTCOMES:
        return counted
    compared = [np.log(side) if goal.relative else side for side in sides]
    difference = float(compared[1].mean() - compared[0].mean())
    half = half_width(sum(_variance(side, goal) / len(side) for side in compared), goal.spread, alpha)
    ends = (difference, difference - half, difference + half)
    found = [math.expm1(each) if goal.relative else each for each in ends]
    return counted.model_copy(update=dict(zip(("lift", "low", "high"), found, strict=True)))


def half_width(variance: float, spread: float, alpha: float) -> float:
    """Return the half width of the confidence sequence for a difference whose estimate has this variance now.

    Differences are mixed over a normal distribution with the standard deviation `spread`.
    """
    mixed = variance + spread**2
    return math.sqrt(variance * mixed / spread**2 * (2 * math.log(1 / alpha) + math.log(mixed / variance)))


def verdict(found: Lift, metric: str) -> Outcome | None:
    """Return whether the candidate has won or lost; None while the interval still holds no difference."""
    if found.low is None or found.high is None or found.low <= 0 <= found.high:
        return None
    return "won" if (found.low > 0) == (GOALS[metric].better == "higher") else "lost"


def _variance(values: "np.ndarray[tuple[int], np.dtype[np.float64]]", goal: Goal) -> float:
    """Return the variance; of shares at least that of a coin as biased with two more tosses, which is never nothing."""
    own = float(values.var(ddof=1))
    if goal.relative:
        return max(own, 1e-6)
    mean = (float(values.sum()) + 1) / (len(values) + 2)
    return max(own, mean * (1 - mean))
