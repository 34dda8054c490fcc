"""What an evaluation measures: each metric is one sum over the cases by another, so that cases can be resampled."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kowai.types import Value

Floats = NDArray[np.float64]


class Metric(NamedTuple):
    """Say which way a metric is better, and how far it may fall before that is a regression.

    A relative margin is a share of the incumbent's value, and `floor`, in the metric's unit, is always allowed.
    """

    unit: str
    better: Literal["higher", "lower"] = "higher"
    margin: float = 0.03
    relative: bool = False
    floor: float = 0.0

    def allowed(self, incumbent: float, margin: float | None) -> float:
        """Return by how much the metric may be worse than the incumbent's value."""
        wanted = self.margin if margin is None else margin
        return max(self.floor, wanted * abs(incumbent)) if self.relative else wanted


METRICS: dict[str, Metric] = {
    "completion": Metric("share of the cases that ended with an answer or an abstention"),
    "recall_at_5": Metric("share of relevant documents among the first 5"),
    "recall_at_10": Metric("share of relevant documents among the first 10"),
    "ndcg_at_10": Metric("discounted gain of the first 10 documents"),
    "mrr": Metric("1 / place of the first relevant document"),
    "exact_match": Metric("share of answers that are an expected one"),
    "token_f1": Metric("F1 of the words shared with an expected answer"),
    "containment": Metric("share of expected answers and facts that are said"),
    "semantic_similarity": Metric("cosine with the nearest expected answer"),
    "citation_precision": Metric("share of citations into relevant documents"),
    "abstention_precision": Metric("share of abstentions that were right"),
    "abstention_recall": Metric("share of unanswerable questions abstained from"),
    "abstention_f1": Metric("harmonic mean of the two"),
    "judge": Metric("mean verdict of the model judge"),
    "latency_seconds": Metric("seconds to answer", "lower", 1.0, relative=True, floor=0.5),
    "cost_dollars": Metric("US dollars a question", "lower", 0.25, relative=True, floor=0.001),
}
ABSTENTION = ("abstention_precision", "abstention_recall", "abstention_f1")


class Outcome(Value):
    """Hold what one persona did with one case: what is not known is not among the scores.

    `abstained` is None where the case came to no answer at all.
    """

    case: str
    persona: str
    unanswerable: bool
    abstained: bool | None
    scores: dict[str, float]
    cause: str | None = None


def rightness(outcome: Outcome) -> float | None:
    """Return how right an answer is by the suite's own answers, from 0 to 1; None where the suite does not say."""
    if outcome.abstained is None:
        return None
    if outcome.unanswerable or outcome.abstained:
        return float(outcome.abstained == outcome.unanswerable)
    known = [outcome.scores[name] for name in ("exact_match", "containment") if name in outcome.scores]
    return max(known, default=None)


def parts(outcome: Outcome, metric: str) -> tuple[float, float]:
    """Return what a case adds to the metric's numerator and denominator; nothing where it is unknown."""
    if metric == "completion":
        return float(outcome.abstained is not None), 1.0
    if metric in ABSTENTION:
        return _abstention(outcome, metric)
    score = outcome.scores.get(metric)
    return (0.0, 0.0) if score is None or outcome.abstained is None else (score, 1.0)


def _abstention(outcome: Outcome, metric: str) -> tuple[float, float]:
    if outcome.abstained is None:
        return 0.0, 0.0
    hit = float(outcome.abstained and outcome.unanswerable)
    abstained, wanted = float(outcome.abstained), float(outcome.unanswerable)
    if metric == "abstention_precision":
        return hit, abstained
    return (hit, wanted) if metric == "abstention_recall" else (2 * hit, abstained + wanted)


def sums(outcomes: Sequence[Outcome], metrics: Sequence[str]) -> Floats:
    """Return a row a case, a column pair (numerator, denominator) a metric: shape (cases, 2 * metrics)."""
    rows = [[value for metric in metrics for value in parts(outcome, metric)] for outcome in outcomes]
    return np.array(rows, np.float64).reshape(len(outcomes), 2 * len(metrics))


def ratios(totals: Floats) -> Floats:
    """Return the metrics of summed column pairs, not a number where nothing is known: shape (..., metrics)."""
    above, below = totals[..., 0::2], totals[..., 1::2]
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


def by_persona(outcomes: Sequence[Outcome]) -> Mapping[str, list[Outcome]]:
    found: dict[str, list[Outcome]] = {}
    for outcome in sorted(outcomes, key=lambda each: (each.persona, each.case)):
        found.setdefault(outcome.persona, []).append(outcome)
    return found
