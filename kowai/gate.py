"""Whether a candidate may go live: no metric may fall, on the same questions, by more than its margin."""

from collections.abc import Mapping, Sequence

import numpy as np

from kowai.bootstrap import interval, resampled
from kowai.scores import METRICS, Outcome, by_persona, parts, ratios, sums
from kowai.types import Value

LIKELY = 0.5  # of the resamples; one in which the fall is within the margin speaks for the candidate


class Change(Value):
    """Compare one metric of one persona; `change` is the candidate's value less the incumbent's, with its interval.

    `likelihood` is the share of paired resamples in which the metric is worse by more than `allowed`.
    """

    persona: str
    metric: str
    incumbent: float
    candidate: float
    change: float
    low: float
    high: float
    allowed: float
    likelihood: float
    regressed: bool


class Regressed(Value):
    """Name a question that was answered worse, and by which metrics."""

    case: str
    persona: str
    metrics: tuple[str, ...]


class Comparison(Value):
    """Hold every metric's change, and the questions behind those that regressed; `cases` are in both evaluations."""

    cases: int
    changes: tuple[Change, ...]
    questions: tuple[Regressed, ...]

    @property
    def regressed(self) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if change.regressed)


def compare(
    candidate: Sequence[Outcome], incumbent: Sequence[Outcome], margins: Mapping[str, float] | None = None
) -> Comparison:
    """Compare two evaluations case by case: a paired bootstrap, with a fixed seed, of every metric both know.

    A metric regresses when a fall beyond its margin is more likely than not.
    """
    new, old = ({(each.persona, each.case): each for each in side} for side in (candidate, incumbent))
    shared = [key for key in new if key in old]
    changes: list[Change] = []
    for persona, each in by_persona([new[key] for key in shared]).items():
        before = [old[persona, outcome.case] for outcome in each]
        changes += _changes(persona, each, before, margins or {})
    worse = [question for key in shared if (question := _regressed(new[key], old[key], changes))]
    return Comparison(cases=len(shared), changes=tuple(changes), questions=tuple(worse))


def _changes(
    persona: str, candidate: Sequence[Outcome], incumbent: Sequence[Outcome], margins: Mapping[str, float]
) -> list[Change]:
    names = list(METRICS)
    rows = np.hstack([sums(candidate, names), sums(incumbent, names)])
    totals, drawn = rows.sum(axis=0), resampled(rows)
    new, old = ratios(totals[: 2 * len(names)]), ratios(totals[2 * len(names) :])
    falls = ratios(drawn[:, : 2 * len(names)]) - ratios(drawn[:, 2 * len(names) :])
    found: list[Change] = []
    for place, name in enumerate(names):
        if np.isnan(new[place]) or np.isnan(old[place]):
            continue
        allowed = METRICS[name].allowed(float(old[place]), margins.get(name))
        sign = 1 if METRICS[name].better == "higher" else -1
        known = falls[:, place][~np.isnan(falls[:, place])]
        likelihood = float(np.mean(-sign * known > allowed + 1e-12))
        low, high = interval(known)
        values = {"incumbent": float(old[place]), "candidate": float(new[place])}
        values |= {"change": float(new[place] - old[place]), "low": low, "high": high}
        verdict = {"allowed": allowed, "likelihood": likelihood, "regressed": likelihood >= LIKELY}
        found.append(Change.model_validate({"persona": persona, "metric": name, **values, **verdict}))
    return found


def _regressed(candidate: Outcome, incumbent: Outcome, changes: Sequence[Change]) -> Regressed | None:
    fallen = [change.metric for change in changes if change.regressed and change.persona == candidate.persona]
    metrics = tuple(metric for metric in fallen if _is_worse(candidate, incumbent, metric))
    return Regressed(case=candidate.case, persona=candidate.persona, metrics=metrics) if metrics else None


def _is_worse(candidate: Outcome, incumbent: Outcome, metric: str) -> bool:
    if metric.startswith("abstention"):
        right = [each.abstained == each.unanswerable for each in (candidate, incumbent)]
        return right == [False, True]
    (new, known), (old, also) = parts(candidate, metric), parts(incumbent, metric)
    sign = 1 if METRICS[metric].better == "higher" else -1
    return bool(known and also) and sign * (new - old) < 0
