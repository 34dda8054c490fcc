"""BootstrapFewShot: show the model its own right answers as examples (Khattab et al., 2023)."""

from collections.abc import Sequence
from typing import Any

import dspy

from kowai.optimisers import MOST_DEMOS, Metric, Optimiser


def improve(program: dspy.Module, examples: Sequence[dspy.Example], metric: Metric, _threads: int) -> dspy.Module:
    search: Any = dspy.BootstrapFewShot(
        metric=metric,
        metric_threshold=1.0,
        max_bootstrapped_demos=MOST_DEMOS,
        max_labeled_demos=0,  # a case knows what a good answer holds, not how it is cited
        max_rounds=2,
        max_errors=len(examples),
    )
    return search.compile(program, trainset=list(examples))


BOOTSTRAP = Optimiser("show the model its own right answers as examples", improve)
