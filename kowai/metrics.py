"""How good one answer or one ranking is: every metric is in [0, 1], and more is better."""

import math
import re
import string
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_MARKERS = re.compile(r"\s*\[(?:\d+|unsupported)\]")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalised(text: str) -> str:
    """Return the text as SQuAD compares it: lower case, no punctuation, no articles, single spaces; no citations."""
    plain = uncited(text).lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", plain).split())


def uncited(text: str) -> str:
    return _MARKERS.sub("", text)


def exact_match(answer: str, expected: Collection[str]) -> float:
    """Return 1 when the answer is one of the expected ones, as normalised."""
    return float(normalised(answer) in {normalised(one) for one in expected})


def token_f1(answer: str, expected: Collection[str]) -> float:
    """Return the highest F1 of shared words with an expected answer (Rajpurkar et al., 2016)."""
    return max((_overlap(normalised(answer).split(), normalised(one).split()) for one in expected), default=0.0)


def _overlap(said: Sequence[str], wanted: Sequence[str]) -> float:
    if not said or not wanted:
        return float(said == wanted)
    shared = sum((Counter(said) & Counter(wanted)).values())
    return 2 * shared / (len(said) + len(wanted))


def holds(answer: str, phrase: str) -> bool:
    """Tell whether the answer says the phrase, as whole words."""
    return f" {normalised(phrase)} " in f" {normalised(answer)} "


def containment(answer: str, answers: Collection[str], facts: Collection[str]) -> float:
    """Return the share of what was to be said that is: every fact, and any one of the answers."""
    said = [float(holds(answer, fact)) for fact in facts]
    if answers:
        said.append(float(any(holds(answer, one) for one in answers)))
    return sum(said) / len(said) if said else 0.0


def recall_at(k: int, ranked: Sequence[str], relevant: Mapping[str, int]) -> float:
    """Return the share of the relevant documents that are among the first k."""
    wanted = {document for document, grade in relevant.items() if grade > 0}
    return len(wanted & set(ranked[:k])) / len(wanted) if wanted else 0.0


def ndcg_at(k: int, ranked: Sequence[str], relevant: Mapping[str, int]) -> float:
    """Return the discounted gain of the first k, as a share of the best order's (Järvelin and Kekäläinen, 2002)."""
    gains = [relevant.get(document, 0) for document in dict.fromkeys(ranked)]
    best = sorted(relevant.values(), reverse=True)
    ideal = _discounted(best[:k])
    return _discounted(gains[:k]) / ideal if ideal else 0.0


def _discounted(gains: Sequence[int]) -> float:
    return sum(gain / math.log2(place + 1) for place, gain in enumerate(gains, 1))


def reciprocal_rank(ranked: Sequence[str], relevant: Mapping[str, int]) -> float:
    """Return 1 over the place of the first relevant document, 0 without one."""
    places = (place for place, document in enumerate(ranked, 1) if relevant.get(document, 0) > 0)
    return 1 / next(places, math.inf)


def precision(cited: Sequence[str], relevant: Mapping[str, int]) -> float:
    """Return the share of the citations that point into a relevant document."""
    return sum(relevant.get(document, 0) > 0 for document in cited) / len(cited) if cited else 0.0


def kappa(first: Sequence[bool], second: Sequence[bool]) -> float | None:
    """Return Cohen's kappa of two raters; None where chance alone would agree on everything."""
    if not first:
        return None
    agreed = sum(a == b for a, b in zip(first, second, strict=True)) / len(first)
    yes = sum(first) / len(first), sum(second) / len(second)
    chance = yes[0] * yes[1] + (1 - yes[0]) * (1 - yes[1])
    return None if math.isclose(chance, 1.0) else (agreed - chance) / (1 - chance)
