"""GEPA: let the model reflect on what went wrong and write better instructions (Agrawal et al., 2025)."""

from collections.abc import Sequence
from typing import Any, cast

import dspy

from kowai.optimisers import SEED, Metric, Optimiser

ROUNDS, MOST_RATINGS = 10, 1_000


def improve(program: dspy.Module, examples: Sequence[dspy.Example], metric: Metric, threads: int) -> dspy.Module:
    search = dspy.GEPA(
        metric=metric,
        max_metric_calls=min(MOST_RATINGS, ROUNDS * len(examples)),
        reflection_lm=cast(Any, dspy.settings).lm,
        num_threads=threads,
        seed=SEED,
    )
    return search.compile(program, trainset=list(examples), valset=list(examples))


GEPA = Optimiser("let the model reflect on what went wrong and write better instructions", improve)
