"""The trained judge: how likely it is that a sentence answers a question."""

import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Literal, NamedTuple

Name = Literal["aligned", "plain"]
STEEPEST = 30.0


class Branch(NamedTuple):
    """Hold a question of a tree: is a feature at most `limit`? Then go on `below`, else `above`; a float is a leaf."""

    feature: str
    limit: float
    below: "Branch | float"
    above: "Branch | float"


class Judge(NamedTuple):
    """Hold a logistic regression over features and products of two ("a*b"), boosted trees, and their calibration.

    Its logit is bias + scale * (mean of the two logits); see benchmarks/EXTRACTION.md.
    """

    weights: Mapping[str, float]
    intercept: float
    trees: Sequence[Branch | float]
    scale: float
    bias: float

    def confidence(self, features: Mapping[str, float]) -> float:
        """Return the calibrated probability in [0, 1] that the sentence answers the question."""
        drawn = {name: drawn_in(value) for name, value in features.items()}
        terms = (weight * math.prod(drawn[part] for part in name.split("*")) for name, weight in self.weights.items())
        regression = self.intercept + sum(terms)
        boosted = sum(_leaf(tree, features) for tree in self.trees)
        logit = self.bias + self.scale * (regression + boosted) / 2
        return 1 / (1 + math.exp(-min(STEEPEST, max(-STEEPEST, logit))))


def drawn_in(value: float) -> float:
    """Return sign(x) log(1 + |x|)."""
    return math.copysign(math.log1p(abs(value)), value)


def confidence_of(features: Mapping[str, float]) -> float:
    """Judge by the alignment of tokens where it is known, by words and the cosine alone where it is not."""
    return judge("aligned" if "last_explained" in features else "plain").confidence(features)


@cache
def judge(name: Name) -> Judge:
    """Load the weights that come with KowAI: benchmarks/train_judge.py writes them."""
    stored: dict[str, Any] = json.loads(files("kowai.extraction").joinpath(f"judge_{name}.json").read_text())
    features: list[str] = stored.pop("features")
    trees = [_branch(tree, features) for tree in stored.pop("trees")]
    return Judge(trees=trees, **stored)


def _branch(stored: Any, features: list[str]) -> Branch | float:
    if isinstance(stored, float | int):
        return float(stored)
    at, limit, below, above = stored
    return Branch(features[at], limit, _branch(below, features), _branch(above, features))


def _leaf(tree: Branch | float, features: Mapping[str, float]) -> float:
    while isinstance(tree, Branch):
        tree = tree.below if features[tree.feature] <= tree.limit else tree.above
    return tree
