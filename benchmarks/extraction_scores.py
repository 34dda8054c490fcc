"""How good extracted answers are: exact match, token F1, AUROC, calibration error, abstention F1."""

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

ARTICLES = re.compile(r"\b(?:a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)
CALIBRATED = ("gold", "found")
SETTINGS = ("gold", "found", "lower", "typo", "keywords")


class Judged(NamedTuple):
    """Hold one judged question: its gold answers, the short answer, whether each cited sentence holds a gold answer."""

    setting: str
    article: str
    answers: tuple[str, ...]
    span: str
    cited: list[bool]
    confidence: float

    def calibrated(self, by: NDArray[Any]) -> "Judged":
        slope, intercept = by
        return self._replace(confidence=float(1 / (1 + np.exp(-(slope * _logit(self.confidence) + intercept)))))


def _logit(share: float) -> float:
    share = min(max(share, 1e-6), 1 - 1e-6)
    return float(np.log(share / (1 - share)))


def normalised(text: str) -> list[str]:
    """Return the words that SQuAD's own metric compares."""
    return ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split()


def f1(text: str, answers: Sequence[str]) -> float:
    return max((_f1(normalised(text), normalised(answer)) for answer in answers), default=0.0)


def _f1(one: list[str], other: list[str]) -> float:
    return 2 * (Counter(one) & Counter(other)).total() / (len(one) + len(other)) if one and other else float(one == other)


def exact(text: str, answers: Sequence[str]) -> bool:
    return any(normalised(text) == normalised(answer) for answer in answers)


def holds(sentence: str, answers: Sequence[str]) -> bool:
    return any(answer in sentence for answer in answers)


def auroc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Return the chance that a positive scores above a negative, ties counted half."""
    ranks = np.searchsorted(np.sort(negative), positive, "left") + np.searchsorted(np.sort(negative), positive, "right")
    return float(ranks.mean() / 2 / len(negative))


def calibration_error(confidence: NDArray[Any], correct: NDArray[Any], bins: int = 10) -> float:
    """Return the expected calibration error over bins of equal width."""
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [abs(confidence[place == b].sum() - correct[place == b].sum()) for b in range(bins)]
    return float(sum(gaps) / len(confidence))


def calibrate(judged: Sequence[Judged]) -> NDArray[np.float64]:
    """Fit slope and intercept (Platt) so that the confidence is the chance that the cited sentences hold the answer."""
    chosen = [one for one in judged if one.setting in CALIBRATED]
    inputs = np.array([[_logit(one.confidence), 1.0] for one in chosen])
    target = np.array([any(one.cited) for one in chosen], float)
    weights = np.array([1.0, 0.0])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-inputs @ weights))
        hessian = (inputs * (chance * (1 - chance))[:, None]).T @ inputs
        weights += np.linalg.solve(hessian, inputs.T @ (target - chance))
    return weights


def best_threshold(judged: Sequence[Judged]) -> float:
    """Return the confidence that separates best by the mean F1 of answering and abstaining."""
    chosen = [one for one in judged if one.setting in CALIBRATED]
    return max(np.arange(0.2, 0.7, 0.01).round(2).tolist(), key=lambda at: sum(separation(chosen, at)))


def separation(judged: Sequence[Judged], threshold: float) -> tuple[float, float]:
    """Return the F1 of abstaining on the unanswerable and the F1 of answering the answerable."""
    withheld = np.array([one.confidence < threshold for one in judged])
    unanswerable = np.array([not one.answers for one in judged])
    pairs = ((withheld, unanswerable), (~withheld, ~unanswerable))
    scores = [2 * (said & true).sum() / max(1, said.sum() + true.sum()) for said, true in pairs]
    return float(scores[0]), float(scores[1])


def table(judged: Sequence[Judged], threshold: float) -> str:
    """Return one line for each setting."""
    lines = [f"default threshold {threshold}; n is answerable + unanswerable"]
    lines += [f"{setting:9} {_line([one for one in judged if one.setting == setting], threshold)}" for setting in SETTINGS]
    found = [one.confidence for one in judged if one.setting == "found" and one.answers]
    cross = [one.confidence for one in judged if one.setting == "cross"]
    withheld = float(np.mean(np.array(cross) < threshold))
    lines.append(f"questions about other documents: AUROC {auroc(found, cross):.3f}, withheld {withheld:.3f}")
    return "\n".join(lines)


def _line(judged: Sequence[Judged], threshold: float) -> str:
    asked = [one for one in judged if one.answers]
    other = [one for one in judged if not one.answers]
    confidence = np.array([one.confidence for one in judged])
    separated = auroc([one.confidence for one in asked], [one.confidence for one in other]) if other else float("nan")
    errors = [calibration_error(confidence, np.array(truth)) for truth in ([any(one.cited) for one in judged], [bool(one.answers) for one in judged])]
    abstains, answers = separation(judged, threshold)
    figures = {
        "AUROC": separated,
        "ECE supported": errors[0],
        "ECE answerable": errors[1],
        "abstention F1": abstains,
        "answering F1": answers,
        "answered of answerable": np.mean([one.confidence >= threshold for one in asked]),
        "EM": np.mean([exact(one.span, one.answers) for one in asked]),
        "F1": np.mean([f1(one.span, one.answers) for one in asked]),
        "hit first": np.mean([one.cited[0] for one in asked]),
        "hit cited": np.mean([any(one.cited) for one in asked]),
        "sentences": np.mean([len(one.cited) for one in asked]),
    }
    return f"n={len(asked)}+{len(other)} " + ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
