"""Detection: where in a text personal data and secrets stand, the surest and longest find winning where two overlap."""

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from kowai.personal.patterns import NEAR, PATTERNS
from kowai.personal.phones import find_phones
from kowai.personal.places import find_addresses, find_names
from kowai.personal.secrets import find_secrets
from kowai.screening import screen_of


class Found(NamedTuple):
    """Point at characters [start, end) that hold one piece of personal data; `score` is in [0, 1]."""

    kind: str
    start: int
    end: int
    score: float = 1.0


def detect(text: str) -> list[Found]:
    """Return what was found in the order of the text, without overlaps."""
    kept: list[Found] = []
    for found in sorted(_all(text), key=lambda found: (-found.score, found.start - found.end)):
        if all(found.end <= other.start or found.start >= other.end for other in kept):
            kept.append(found)
    return sorted(kept, key=lambda found: found.start)


def _all(text: str) -> Iterator[Found]:
    yield from (Found("SECRET", start, end) for start, end in find_secrets(text))
    if any(character.isdigit() for character in text) or "@" in text:
        yield from _patterned(text)
        yield from (Found("PHONE", start, end, 0.99 * score) for start, end, score in find_phones(text))
        yield from (Found("ADDRESS", start, end, 0.6) for start, end in find_addresses(text))
    yield from (Found("PERSON", start, end, 0.6) for start, end in find_names(text))


@cache
def _any_pattern() -> Any:
    return screen_of("|".join(pattern.shape.wide for pattern in PATTERNS))


def _patterned(text: str) -> Iterator[Found]:
    if not _any_pattern().search(text.encode("utf-8", "replace")):
        return
    for pattern in PATTERNS:
        for match in pattern.shape.finditer(text):
            if pattern.check is not None and not pattern.check(match[0]):
                continue
            if pattern.near is None or pattern.near.search(text, max(0, match.start() - NEAR), match.start()):
                yield Found(pattern.kind, match.start(), match.end(), pattern.score)
