"""Money is exact, never too little, and unknown rather than zero."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kowai.overflow import is_overflow
from kowai.pricing import FREE, Price, cost, listed_price, worst_case
from kowai.types import Usage

PRICE = Price(Decimal("2.50"), Decimal("10"))


def test_a_cost_is_exact() -> None:
    assert cost(PRICE, Usage(prompt_tokens=1000, completion_tokens=500)) == Decimal("0.0075")


def test_what_is_unknown_stays_unknown() -> None:
    assert cost(None, Usage(prompt_tokens=1, completion_tokens=1)) is None
    assert cost(PRICE, Usage(prompt_tokens=None, completion_tokens=1)) is None
    assert worst_case(None, 1, 1) is None
    assert listed_price({"input_cost_per_token": 1e-6}, 10) is None


def test_a_free_model_costs_nothing_even_when_it_reports_nothing() -> None:
    assert cost(FREE, Usage()) == 0


@given(st.integers(0, 10**7), st.integers(0, 10**6), st.integers(0, 10**7), st.integers(0, 10**6))
def test_the_worst_case_is_never_less_than_a_smaller_call_costs(a: int, b: int, c: int, d: int) -> None:
    worst = worst_case(PRICE, max(a, c), max(b, d))
    spent = cost(PRICE, Usage(prompt_tokens=a, completion_tokens=b))
    assert worst is not None
    assert spent is not None
    assert worst >= spent


def test_a_long_prompt_is_priced_by_its_tier() -> None:
    entry = {
        "input_cost_per_token": 1.25e-06,
        "input_cost_per_token_above_200k_tokens": 2.5e-06,
        "output_cost_per_token": 1e-05,
        "output_cost_per_token_above_200k_tokens": 1.5e-05,
    }
    assert listed_price(entry, 200_000) == Price(Decimal("1.25"), Decimal(10))
    assert listed_price(entry, 200_001) == Price(Decimal("2.5"), Decimal(15))


@pytest.mark.parametrize(
    "message",
    [
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens.",
        "The decoder prompt (length 9000) is longer than the maximum model length of 4096.",
        "the request exceeds the available context size, try increasing it",
        "request (5000 tokens) exceeds the available context size (4096 tokens)",
        "exceed_context_size_error",
        "Error code: context_length_exceeded",
        "The input token count (1200000) exceeds the maximum number of tokens allowed",
        "prompt is too long: 210000 tokens > 200000 maximum",
    ],
)
def test_a_servers_own_words_for_too_long_are_known(message: str) -> None:
    assert is_overflow(message)


@pytest.mark.parametrize("message", [None, "", "temperature must be <= 2", "invalid api key", "context is missing"])
def test_other_refusals_are_not_taken_for_it(message: str | None) -> None:
    assert not is_overflow(message)
