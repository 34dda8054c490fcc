"""Guards: each looks at a question, a document or an answer and says what it saw; one file each, found by `discover`.

What follows from a finding is decided by policy (kowai/policies.py): a guard only sees.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Literal, NamedTuple

from kowai.registry import discover
from kowai.types import Value

Stage = Literal["input", "document", "output"]
Action = Literal["off", "note", "mask", "quarantine", "refuse"]

ACTIONS: dict[Stage, tuple[Action, ...]] = {
    "input": ("off", "note", "mask", "refuse"),
    "document": ("off", "note", "quarantine", "refuse"),
    "output": ("off", "note", "mask", "refuse"),
}


class Limits(Value):
    """Hold what an operator sets for guards that measure; an empty tuple of languages allows all."""

    longest_question: int = 8_000
    longest_answer: int = 40_000
    languages: tuple[str, ...] = ()
    least_supported: float = 0.5


class Content(NamedTuple):
    """Hold what is looked at. `supported` is the share of an answer's sentences that a citation supports."""

    text: str
    stage: Stage
    limits: Limits = Limits()
    supported: float | None = None
    canary: str = ""


class Sight(NamedTuple):
    """Point at characters [start, end) of the text; `score` in [0, 1] says how sure the guard is."""

    kind: str
    start: int
    end: int
    score: float = 1.0


class Guard(Value):
    """Describe a guard: what it looks for, where, what happens unless policy says otherwise, and the refusal."""

    summary: str
    defaults: Mapping[Stage, Action]
    look: Callable[[Content], Sequence[Sight]]
    sentence: str

    def model_post_init(self, context: Any, /) -> None:
        for stage, action in self.defaults.items():
            if action not in ACTIONS[stage]:
                raise ValueError(f"A guard cannot {action} at the stage {stage}.")


@cache
def guards() -> dict[str, Guard]:
    """Return every guard by name, in the order of their files."""
    return discover("kowai.guards", Guard)
