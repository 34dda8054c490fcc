"""What a reranker's reply says and costs; it may put passages in another order, and nothing else."""

import math
from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Any, TypeVar, cast

from kowai.errors import KowaiError
from kowai.pricing import MILLION, SMALLEST

T = TypeVar("T")

A_SEARCH = 100  # passages that are billed as one search
A_PASSAGE = 500  # tokens, the question's included, that are billed as one passage (Cohere)


class RerankerFailed(KowaiError):
    """Say that a reranker was down, slow or not to be understood: the order of the search stands."""

    code, http_status = "reranker_failed", 502


def scores_of(reply: Mapping[str, Any], count: int) -> dict[int, float]:
    """Return what the reply gives each of `count` passages, by index; a passage it does not name has no score.

    Raises RerankerFailed for indices out of range or named twice, and for scores that are no numbers.
    """
    results = reply.get("results")
    scores: dict[int, float] = {}
    try:
        for result in cast(Sequence[Mapping[str, Any]], results):
            index, score = result["index"], result["relevance_score"]
            if type(index) is not int or not 0 <= index < count or index in scores:
                raise ValueError(index)
            if isinstance(score, bool) or not math.isfinite(score):
                raise ValueError(score)
            scores[index] = float(score)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise RerankerFailed("The reranker's reply makes no sense.", operator=repr(error)) from error
    if not scores:
        raise RerankerFailed("The reranker's reply names no passage.")
    return scores


def without_text(reply: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is kept of a reply: some endpoints send the passages back, and kept text would have to be erased."""
    results = _list_of(reply)
    kept = ("index", "relevance_score")
    return {"results": [{name: each[name] for name in kept if name in each} for each in results]}


def _list_of(reply: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    results = reply.get("results")
    named = cast(list[Any], results) if isinstance(results, list) else []
    return [cast(Mapping[str, Any], each) for each in named if isinstance(each, Mapping)]


def reordered(items: Sequence[T], scores: Mapping[int, float]) -> list[T]:
    """Return the same items by falling score; those without one come last, and ties stay, in the order they had."""
    places = sorted(range(len(items)), key=lambda place: -scores.get(place, -math.inf))
    return [items[place] for place in places]


def tokens_of(reply: Mapping[str, Any]) -> int | None:
    """Return how many tokens the endpoint says it read; None where it does not say."""
    return _told(reply, "usage", "total_tokens") or _told(reply, "meta", "billed_units", "input_tokens")


def searches_of(reply: Mapping[str, Any]) -> int | None:
    """Return how many searches the endpoint says it bills; None where it does not say."""
    return _told(reply, "meta", "billed_units", "search_units")


def most_searches(tokens: Sequence[int]) -> int:
    """Return how many searches passages of so many tokens, the question's included, can be billed as."""
    return math.ceil(sum(math.ceil(each / A_PASSAGE) for each in tokens) / A_SEARCH)


def price_of(price: Decimal | None, priced_by: str, *, tokens: int | None, searches: int | None) -> Decimal | None:
    """Return dollars for so many tokens, priced by the million, or searches, by the thousand; None for unknown."""
    used, unit = (tokens, MILLION) if priced_by == "tokens" else (searches, Decimal(1_000))
    if price is None or (used is None and price):
        return None
    return (price * (used or 0) / unit).quantize(SMALLEST, ROUND_CEILING)


def _told(reply: Mapping[str, Any], *path: str) -> int | None:
    found: Any = reply
    for name in path:
        found = cast(Mapping[str, Any], found).get(name) if isinstance(found, Mapping) else None
    return int(found) if isinstance(found, int | float) and math.isfinite(found) and found >= 0 else None
