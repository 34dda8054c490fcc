"""What a team's steps amount to: whole, in part or not at all, and one text out of several results."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from kowai.claims import MARKER
from kowai.teams.plan import Plan
from kowai.types import Citation

StepState = Literal["queued", "running", "done", "refused", "failed", "skipped"]
TeamStatus = Literal["queued", "running", "done", "partial", "refused", "failed", "cancelled"]
NEEDS_FAILED = "needs_failed"


class Standing(NamedTuple):
    """Say where a step ended and, unless it is done, why."""

    state: StepState
    cause: str | None = None


class Ending(NamedTuple):
    status: TeamStatus
    sentence: str


class Said(NamedTuple):
    """Hold a step's answer, whose markers [1], [2] ... number its citations."""

    step: str
    text: str
    citations: tuple[Citation, ...]


def is_cut_off(needs: Sequence[str], states: Mapping[str, StepState]) -> bool:
    """Tell whether a step has nothing to go by: it needs others, and none of them has a result."""
    return bool(needs) and not any(states[name] == "done" for name in needs)


def ending(plan: Plan, standings: Mapping[str, Standing]) -> Ending:
    """Return how a team ended: partial when a step has no result but one of those that answer has.

    A team that only limits and guards kept from an answer is refused; failed has to mean broken.
    """
    missing = [f"{name} ({standing.cause})" for name, standing in standings.items() if standing.state != "done"]
    if not missing:
        return Ending("done", "Every step has a result.")
    listed = f"no result of {', '.join(missing)}"
    if any(standings[name].state == "done" for name in plan.results()):
        return Ending("partial", f"A partial answer: there is {listed}.")
    broken = any(standing.state == "failed" for standing in standings.values())
    return Ending("failed" if broken else "refused", f"No answer: there is {listed}.")


def cancelled(plan: Plan | None, standings: Mapping[str, Standing], by: str) -> Ending:
    """Return how a team ended that somebody cancelled: what it has is kept, and what is missing named."""
    kept = [name for name, standing in standings.items() if standing.state == "done"]
    missing = [name for name, standing in standings.items() if standing.state != "done"]
    if plan is None or not kept:
        return Ending("cancelled", f"Cancelled by {by} before there was any result.")
    partly = any(name in kept for name in plan.results())
    said = "a partial answer" if partly else f"no answer, but results of {', '.join(kept)}"
    lacking = f"; there is no result of {', '.join(missing)}" if missing else ""
    return Ending("cancelled", f"Cancelled by {by}: {said}{lacking}.")


def joined(results: Sequence[Said]) -> tuple[str, tuple[Citation, ...]]:
    """Return one text under headings, and its citations, numbered through; a single result as it is."""
    if len(results) == 1:
        return results[0].text, results[0].citations
    parts: list[str] = []
    citations: list[Citation] = []
    for said in results:
        shifted = _renumbered(said.text, len(citations))
        parts.append(f"## {said.step}\n\n{shifted}")
        citations.extend(said.citations)
    return "\n\n".join(parts), tuple(citations)


def _renumbered(text: str, offset: int) -> str:
    return MARKER.sub(lambda marker: f" [{int(marker[1]) + offset}]", text)
