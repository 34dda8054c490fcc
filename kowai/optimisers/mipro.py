"""MIPROv2: search instructions and examples together by a Bayesian model (Opsahl-Ong et al., 2024)."""

from collections.abc import Sequence

import dspy

from kowai.optimisers import MOST_DEMOS, SEED, Metric, Optimiser


def improve(program: dspy.Module, examples: Sequence[dspy.Example], metric: Metric, threads: int) -> dspy.Module:
    search = dspy.MIPROv2(
        metric=metric,
        metric_threshold=1.0,
        max_bootstrapped_demos=MOST_DEMOS,
        max_labeled_demos=0,
        auto="light",
        num_threads=threads,
        seed=SEED,
    )
    chosen = list(examples)
    return search.compile(program, trainset=chosen, valset=chosen, minibatch=False)


MIPRO = Optimiser("search instructions and examples together", improve, needs="optuna")
