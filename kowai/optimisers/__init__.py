"""The ways in which DSPy makes a prompt better: one file each, found by `discover`."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple

import dspy

from kowai.errors import InvalidInput
from kowai.registry import discover

MOST_DEMOS = 4
SEED = 0

Metric = Callable[..., Any]  # a number, or a prediction with score and feedback
Improve = Callable[[dspy.Module, Sequence[dspy.Example], Metric, int], dspy.Module]


class UnknownOptimiser(InvalidInput):
    code = "unknown_optimiser"


class Optimiser(NamedTuple):
    """Say what it does and how: `improve(program, examples, metric, threads)` blocks and asks `dspy.settings.lm`.

    `needs` is a package that is not installed with KowAI.
    """

    description: str
    improve: Improve
    needs: str | None = None


def optimisers() -> dict[str, Optimiser]:
    return discover("kowai.optimisers", Optimiser)


def optimiser_named(name: str) -> Optimiser:
    """Return the optimiser of that name. Raises UnknownOptimiser, also when its package is missing."""
    known = optimisers()
    if name not in known:
        raise UnknownOptimiser(f"There is no optimiser '{name}'; choose one of {', '.join(known)}.")
    needs = known[name].needs
    if needs and find_spec(needs) is None:
        raise UnknownOptimiser(f"The optimiser '{name}' needs the package {needs}: install kowai[{name}].")
    return known[name]
