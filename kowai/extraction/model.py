"""The trained judge: how likely it is that a sentence answers a question."""

import json
import math
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import NamedTuple


class Judge(NamedTuple):
    """Hold a logistic regression over sentence features and products of two ("a*b"), see benchmarks/EXTRACTION.md."""

    bias: float
    weights: Mapping[str, float]

    def confidence(self, features: Mapping[str, float]) -> float:
        """Return the calibrated probability in [0, 1] that the sentence answers the question."""
        drawn = {name: math.copysign(math.log1p(abs(value)), value) for name, value in features.items()}
        terms = (weight * math.prod(drawn[part] for part in name.split("*")) for name, weight in self.weights.items())
        return 1 / (1 + math.exp(-min(30.0, max(-30.0, self.bias + sum(terms)))))


@cache
def judge() -> Judge:
    """Load the weights that come with KowAI."""
    stored = json.loads(files("kowai.extraction").joinpath("support.json").read_text())
    return Judge(stored["bias"], stored["weights"])
