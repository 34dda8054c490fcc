"""How much of an evaluation's limits is left: no question begins that could exceed them by more than one call."""

from decimal import Decimal
from typing import Literal, NamedTuple

from kowai.suites import Limits

Start = Literal["go", "wait", "stop"]


class Taken(NamedTuple):
    """Hold what an evaluation has taken so far, what one of its questions takes at most, and how many are under way.

    `tokens_each` and `dollars_each` are 0 before anything is known.
    """

    tokens: int
    dollars: Decimal
    minutes: float
    running: int
    tokens_each: int
    dollars_each: Decimal


def may_start(limits: Limits, taken: Taken) -> Start:
    """Say whether one more question may begin: beside others only if all of them, as dear as any yet, stay within.

    Alone it may begin while anything is left, so that a limit is exceeded by the last call at most.
    """
    if _used_up(limits, taken):
        return "stop"
    if not taken.running:
        return "go"
    if limits.dollars is not None and not _fits(taken.dollars, taken.dollars_each, taken.running, limits.dollars):
        return "wait"
    if limits.tokens is not None and not _fits(taken.tokens, taken.tokens_each, taken.running, limits.tokens):
        return "wait"
    return "go"


def _used_up(limits: Limits, taken: Taken) -> bool:
    pairs = ((limits.tokens, taken.tokens), (limits.dollars, taken.dollars), (limits.minutes, taken.minutes))
    return any(limit is not None and used >= limit for limit, used in pairs)


def _fits(used: Decimal | int, each: Decimal | int, running: int, limit: Decimal | int) -> bool:
    return bool(each) and used + each * (running + 1) <= limit
