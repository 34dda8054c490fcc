"""What answers are worth: AUROC, calibration error, abstention F1, and SQuAD's exact match and F1 of a quote."""

import re
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 15
Matrix = NDArray[np.floating[Any]]


def auroc(sure: Matrix, right: Matrix) -> float:
    order = np.argsort(np.argsort(sure)) + 1.0
    positives = right.sum()
    return float((order[right == 1].sum() - positives * (positives + 1) / 2) / (positives * (len(right) - positives)))


def calibration_error(sure: Matrix, right: Matrix) -> float:
    place = np.minimum((sure * BINS).astype(int), BINS - 1)
    return sum(
        abs(sure[place == n].mean() - right[place == n].mean()) * np.mean(place == n) for n in set(place.tolist())
    )


def abstention_f1(sure: Matrix, right: Matrix, threshold: float) -> float:
    said, meant = sure < threshold, right == 0
    return float(2 * (said & meant).sum() / max(1, said.sum() + meant.sum()))


def words(text: str) -> list[str]:
    """Normalise as SQuAD's own script does: lower case, no punctuation, no articles."""
    return [word for word in re.findall(r"\w+", text.lower()) if word not in ("a", "an", "the")]


def overlap(quote: str, answer: str) -> float:
    one, other = words(quote), words(answer)
    same = sum((Counter(one) & Counter(other)).values())
    return 2 * same / (len(one) + len(other)) if same else 0.0
