"""What an evaluation found: estimates, what changed since the accepted one, and a report that people read."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from kowai.bootstrap import Estimate, estimates
from kowai.gate import Change, Comparison, compare
from kowai.metrics import kappa
from kowai.scores import METRICS, Outcome, rightness
from kowai.types import Value

Verdict = Literal["passed", "regressed", "broken"]

LEAST_COMPLETION = 0.5  # below which something is broken and no figure means much
UNMEASURED = ("missing_document", "limit_reached", "unknown_persona")
BAR = 20
NAMED = 50


class Agreement(Value):
    """Compare the judge's verdicts, good from 0.5, with the suite's own answers; kappa may be unknown."""

    cases: int
    agreed: float
    kappa: float | None


class Found(Value):
    """Hold an evaluation's result; `comparison` is None where there is nothing to compare it with.

    `routed` counts the questions that `auto` gave to each persona.
    """

    outcome: Verdict
    estimates: dict[str, dict[str, Estimate]]
    comparison: Comparison | None
    agreement: Agreement | None
    measured: int
    completed: int
    routed: dict[str, int] = Field(default_factory=dict[str, int])


def conclude(
    outcomes: Sequence[Outcome], baseline: Sequence[Outcome], margins: Mapping[str, float] | None = None
) -> Found:
    """Return what the outcomes amount to: broken when too few cases came to an answer, else regressed or passed."""
    measured = [outcome for outcome in outcomes if outcome.cause not in UNMEASURED]
    completed = sum(outcome.abstained is not None for outcome in measured)
    before = [outcome for outcome in baseline if outcome.cause not in UNMEASURED]
    comparison = compare(measured, before, margins) if measured and before else None
    if not completed or completed < LEAST_COMPLETION * len(measured):
        verdict: Verdict = "broken"
    else:
        verdict = "regressed" if comparison and comparison.regressed else "passed"
    return Found(
        outcome=verdict,
        estimates=estimates(measured) if measured else {},
        comparison=comparison,
        agreement=_agreement(measured),
        measured=len(measured),
        completed=completed,
    )


def _agreement(outcomes: Sequence[Outcome]) -> Agreement | None:
    rated = [(outcome, label) for outcome in outcomes if (label := _label(outcome)) is not None]
    pairs = [(outcome.scores["judge"] >= 0.5, label) for outcome, label in rated if "judge" in outcome.scores]
    if not pairs:
        return None
    judged, labelled = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    agreed = sum(one == other for one, other in pairs) / len(pairs)
    return Agreement(cases=len(pairs), agreed=agreed, kappa=kappa(judged, labelled))


def _label(outcome: Outcome) -> bool | None:
    right = rightness(outcome)
    return None if right is None else right == 1.0


def rows(found: Found) -> list[dict[str, Any]]:
    """Return a table row a persona and metric: the value, its interval and the change since the accepted evaluation."""
    changes = {(each.persona, each.metric): each for each in (found.comparison.changes if found.comparison else ())}
    return [
        {"persona": persona, "metric": metric, **_cells(estimate, changes.get((persona, metric)))}
        for persona, known in found.estimates.items()
        for metric, estimate in known.items()
    ]


def _cells(estimate: Estimate, change: Change | None) -> dict[str, Any]:
    compared = "nothing to compare with" if change is None else f"{change.change:+.3f}"
    return {
        "value": f"{estimate.value:.3f}",
        "interval": f"{estimate.low:.3f} to {estimate.high:.3f}",
        "cases": estimate.cases,
        "change": compared,
        "verdict": "" if change is None else "regressed" if change.regressed else "ok",
    }


def report(title: str, found: Found) -> str:
    """Return Markdown with the outcome, a chart, a table and the regressed questions by their ids: never any text."""
    lines = [f"# {title}", "", f"**{found.outcome}**: {found.completed:,} of {found.measured:,} cases completed.", ""]
    if found.agreement:
        sure = "unknown" if found.agreement.kappa is None else f"{found.agreement.kappa:.2f}"
        agreed = f"{found.agreement.agreed:.0%} of {found.agreement.cases:,} cases, kappa {sure}"
        lines += [f"The judge agrees with the suite's own answers on {agreed}.", ""]
    if found.routed:
        chosen = ", ".join(f"{name} {count:,}" for name, count in found.routed.items())
        lines += [f"Chosen by `auto`: {chosen}.", ""]
    lines += ["```text", *_chart(found), "```", "", "| persona | metric | value | 95 % interval | cases | change | |"]
    lines.append("|---|---|---|---|---|---|---|")
    lines += ["| " + " | ".join(map(str, row.values())) + " |" for row in rows(found)]
    if found.comparison and found.comparison.questions:
        worse = found.comparison.questions[:NAMED]
        lines += ["", f"## Answered worse: {len(found.comparison.questions):,}", ""]
        lines += [f"- `{each.case}` by {each.persona}: {', '.join(each.metrics)}" for each in worse]
    return "\n".join(lines) + "\n"


def _chart(found: Found) -> list[str]:
    """Draw every metric that is a share as a bar with its interval."""
    shares = [name for name in METRICS if METRICS[name].better == "higher"]
    width = max(map(len, shares))
    return [
        f"{persona:<16} {name:<{width}} {_bar(known[name])} {known[name].value:.3f}"
        for persona, known in found.estimates.items()
        for name in shares
        if name in known
    ]


def _bar(estimate: Estimate) -> str:
    full, least, most = (round(BAR * min(1.0, max(0.0, end))) for end in (estimate.value, estimate.low, estimate.high))
    cells = ["█" if place < full else "·" for place in range(BAR)]
    for place in range(least, most):
        cells[place] = "▓" if place < full else "░"
    return "".join(cells)
