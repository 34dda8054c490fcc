"""Which persona a message is for: kernel ridge regression over the examples that the personas give."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Scores = NDArray[np.floating[Any]]

# Chosen with benchmarks/routing.py by cross-validation on the train half of tests/data/personas.jsonl.
WIDTH, RIDGE, SHARPNESS = 2.0, 0.3, 12.0
UNSURE = 0.6


class Choice(NamedTuple):
    """Hold who should answer and how likely, in [0, 1], that is right."""

    persona: str
    confidence: float


class Router:
    """Score every persona for a message by how its examples lie around the message's vector."""

    def __init__(self, names: Sequence[str], examples: Vectors, weights: Scores, priors: Scores) -> None:
        self._names, self._examples, self._weights, self._priors = names, examples, weights, priors

    @classmethod
    def fit(cls, labels: Sequence[str], examples: Vectors) -> Self:
        """Solve for the weights: `labels` names the persona of each row of `examples`, unit vectors (n, dimensions)."""
        names = sorted(set(labels))
        targets: Scores = np.array([[float(label == name) for name in names] for label in labels])
        priors: Scores = targets.mean(axis=0)
        damped = _kernel(examples, examples) + RIDGE * np.eye(len(labels))
        return cls(names, examples, np.linalg.solve(damped, targets - priors), priors)

    def choose(self, message: Vectors) -> Choice:
        """Return the best persona for a message's unit vector, shape (dimensions,)."""
        scores = (_kernel(message[None, :], self._examples) @ self._weights + self._priors)[0]
        odds = np.exp(SHARPNESS * (scores - scores.max()))
        best = int(scores.argmax())
        return Choice(self._names[best], float(odds[best] / odds.sum()))


def _kernel(left: Vectors, right: Vectors) -> Scores:
    """Return the Gaussian kernel of unit vectors, shape (len(left), len(right))."""
    return np.exp(WIDTH * (left.astype(np.float64) @ right.astype(np.float64).T - 1.0))
