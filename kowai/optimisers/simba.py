"""SIMBA: look at what it answers now well, now badly, and learn a rule or an example from that."""

from collections.abc import Sequence

import dspy

from kowai.optimisers import MOST_DEMOS, SEED, Metric, Optimiser

BATCH, STEPS, CANDIDATES = 16, 4, 4


def improve(program: dspy.Module, examples: Sequence[dspy.Example], metric: Metric, threads: int) -> dspy.Module:
    search = dspy.SIMBA(
        metric=metric,
        bsize=min(BATCH, len(examples)),
        num_candidates=CANDIDATES,
        max_steps=STEPS,
        max_demos=MOST_DEMOS,
        num_threads=threads,
    )
    return search.compile(program, trainset=list(examples), seed=SEED)


SIMBA = Optimiser("learn rules and examples from questions that are answered now well, now badly", improve)
