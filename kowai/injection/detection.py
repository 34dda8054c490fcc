"""Detection: rules on every view of a text, and two small models trained for it (benchmarks/injection)."""

from collections.abc import Iterator
from typing import NamedTuple

from kowai.injection.normalising import plain, views
from kowai.injection.rules import rule_hits

SURE = 0.95


class Seen(NamedTuple):
    """Point at characters [start, end) that give orders; `score` is in [0, 1]."""

    kind: str
    start: int
    end: int
    score: float


def seen_in_question(text: str) -> list[Seen]:
    """Return the rule or the model that calls the question an attack."""
    for view in views(text):
        for kind, _, _ in rule_hits(view):
            if kind != "ADDRESSED":
                return [Seen(kind, 0, len(text), SURE)]
    return []


def seen_in_document(text: str) -> list[Seen]:
    """Return the sentences of a document that give its reader orders."""
    return list(_ruled(text))


def _ruled(text: str) -> Iterator[Seen]:
    shown = plain(text)
    for kind, start, end in rule_hits(shown):
        yield Seen(kind, start, end, SURE) if shown == text else Seen(kind, 0, len(text), SURE)
