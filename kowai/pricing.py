"""What a call may cost and did cost, in US dollars; an unknown price is None, never zero."""

from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Annotated, Any, NamedTuple

from pydantic import PlainSerializer

from kowai.types import Usage

MILLION = Decimal(1_000_000)
SMALLEST = Decimal("0.000000001")  # what a ledger column can hold

Dollars = Annotated[Decimal, PlainSerializer(lambda amount: f"{amount.normalize():f}", str, when_used="json")]


class Price(NamedTuple):
    """Hold US dollars per million tokens."""

    input: Decimal
    output: Decimal


FREE = Price(Decimal(0), Decimal(0))


def cost(price: Price | None, usage: Usage) -> Decimal | None:
    """Return what `usage` costs, or None when the price or either count is unknown."""
    if price is None:
        return None
    if price == FREE:
        return Decimal(0)
    if usage.prompt_tokens is None or usage.completion_tokens is None:
        return None
    exact = (price.input * usage.prompt_tokens + price.output * usage.completion_tokens) / MILLION
    return exact.quantize(SMALLEST, ROUND_CEILING)


def worst_case(price: Price | None, prompt_tokens: int, max_output_tokens: int) -> Decimal | None:
    """Return the most a call can cost, or None when the price is unknown."""
    return cost(price, Usage(prompt_tokens=prompt_tokens, completion_tokens=max_output_tokens))


def dearest(amounts: Sequence[Decimal | None]) -> Decimal | None:
    """Return the greatest of amounts, or None when one is unknown."""
    return None if None in amounts else max(amount for amount in amounts if amount is not None)


def total(amounts: Sequence[Decimal | None]) -> Decimal | None:
    """Return the sum of amounts, or None when one is unknown."""
    return None if None in amounts else sum((amount for amount in amounts if amount is not None), Decimal(0))


def listed_price(entry: Mapping[str, Any], prompt_tokens: int) -> Price | None:
    """Return the price in a LiteLLM price-map entry, whose long prompts may cost more per token."""
    sides = [_side(entry, f"{side}_cost_per_token", prompt_tokens) for side in ("input", "output")]
    return None if None in sides else Price(*(side for side in sides if side is not None))


def _side(entry: Mapping[str, Any], name: str, prompt_tokens: int) -> Decimal | None:
    if entry.get(name) is None:
        return None
    prefix, suffix = f"{name}_above_", "k_tokens"
    tiers = {
        int(key.removeprefix(prefix).removesuffix(suffix)) * 1000: value
        for key, value in entry.items()
        if key.startswith(prefix) and key.removeprefix(prefix).removesuffix(suffix).isdigit() and value is not None
    }
    reached = [threshold for threshold in tiers if prompt_tokens > threshold]
    return Decimal(str(tiers[max(reached)] if reached else entry[name])) * MILLION
