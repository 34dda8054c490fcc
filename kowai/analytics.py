"""Analytics: who comes back, week by week, and what they get; from events that hold no text."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple
from uuid import UUID

from kowai.types import Value

BAR = 20
QUESTIONS = ("answered", "refused", "failed", "stopped")


class Active(NamedTuple):
    """Say that somebody was active in a week, named by its Monday (UTC), and in which week they were first."""

    actor: UUID
    week: date
    first: date


class Week(Value):
    """Sum up a week; shares are None where there is nothing to take a share of."""

    week: date
    active: int
    new: int
    questions: int
    answered: float | None
    liked: float | None


class Cohort(Value):
    """Follow those who came first in a week: `retained[n]` is the share active n weeks later, from 0."""

    week: date
    size: int
    retained: tuple[float, ...]


class Analytics(Value):
    """Hold the use of one tenant; `active_day` and so on look back 1, 7 and 28 days from the end of `until`.

    `retention_week_1` and `_4` are the shares of all cohorts old enough that were active that many weeks later.
    """

    since: date
    until: date
    active_day: int
    active_week: int
    active_month: int
    stickiness: float | None
    retention_week_1: float | None
    retention_week_4: float | None
    weeks: tuple[Week, ...]
    cohorts: tuple[Cohort, ...]


def monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def weeks_between(since: date, until: date) -> list[date]:
    """Return the Mondays of the weeks, first and last day included."""
    first, last = monday(since), monday(until)
    return [first + timedelta(weeks=n) for n in range((last - first).days // 7 + 1)]


def cohorts(active: Sequence[Active], weeks: Sequence[date]) -> tuple[Cohort, ...]:
    """Return the cohorts of these weeks, each followed to the last of them."""
    members: dict[date, set[UUID]] = {week: set() for week in weeks}
    seen = defaultdict[tuple[date, date], set[UUID]](set)
    for each in active:
        if each.first in members:
            members[each.first].add(each.actor)
            seen[each.first, each.week].add(each.actor)
    return tuple(
        Cohort(week=week, size=len(who), retained=tuple(len(seen[week, later]) / len(who) for later in weeks[n:]))
        for n, (week, who) in enumerate(members.items())
        if who
    )


def retention(found: Sequence[Cohort], weeks_later: int) -> float | None:
    """Return the share of all members of cohorts old enough that were active so many weeks after their first."""
    old = [each for each in found if len(each.retained) > weeks_later]
    size = sum(each.size for each in old)
    return sum(each.size * each.retained[weeks_later] for each in old) / size if size else None


def week_of(week: date, counts: Mapping[str, int], active: Sequence[Active]) -> Week:
    """Sum up a week's events by kind and those who were active."""
    here = [each for each in active if each.week == week]
    questions = sum(counts.get(kind, 0) for kind in QUESTIONS)
    rated = counts.get("liked", 0) + counts.get("disliked", 0)
    return Week(
        week=week,
        active=len({each.actor for each in here}),
        new=len({each.actor for each in here if each.first == week}),
        questions=questions,
        answered=counts.get("answered", 0) / questions if questions else None,
        liked=counts.get("liked", 0) / rated if rated else None,
    )


def report(found: Analytics) -> str:
    """Return Markdown with the figures, a chart of each week and the cohorts."""
    lines = [f"# Use from {found.since} to {found.until}", "", headline(found), ""]
    lines += ["```text", *chart(found.weeks), "```", "", "| week | active | new | questions | answered | liked |"]
    lines.append("|---|---|---|---|---|---|")
    for week in found.weeks:
        counts = f"{week.active:,} | {week.new:,} | {week.questions:,}"
        lines.append(f"| {week.week} | {counts} | {share(week.answered)} | {share(week.liked)} |")
    later = range(len(found.weeks))
    lines += ["", f"| first week | people | {' | '.join(f'+{n}' for n in later)} |", "|---|---|" + "---|" * len(later)]
    for cohort in found.cohorts:
        shares = [share(part) for part in cohort.retained] + [""] * (len(later) - len(cohort.retained))
        lines.append(f"| {cohort.week} | {cohort.size:,} | {' | '.join(shares)} |")
    return "\n".join(lines) + "\n"


def headline(found: Analytics) -> str:
    """Say how many are active and how many come back."""
    active = f"{found.active_day:,} on the last day, {found.active_week:,} in 7 days, {found.active_month:,} in 28"
    kept = f"{share(found.retention_week_1)} after one week, {share(found.retention_week_4)} after four"
    return f"Active: {active}. Back again: {kept}."


def chart(weeks: Sequence[Week]) -> list[str]:
    """Draw who was active and what was asked as two bars a week."""
    most_active, most_asked = max(each.active for each in weeks), max(each.questions for each in weeks)
    return [
        f"{each.week} {_bar(each.active, most_active)} {each.active:>6,} active "
        f"{_bar(each.questions, most_asked)} {each.questions:>8,} questions"
        for each in weeks
    ]


def share(part: float | None) -> str:
    return "unknown" if part is None else f"{part:.0%}"


def _bar(value: int, most: int) -> str:
    full = round(BAR * value / most) if most else 0
    return "█" * full + "·" * (BAR - full)
