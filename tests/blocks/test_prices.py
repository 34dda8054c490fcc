"""Prices are published or declared, and a prompt's tokens are never counted too low."""

import subprocess
import sys
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blocks.language_model import Target
from blocks.price_table import price_of
from blocks.tokens import count_prompt
from kowai.pricing import Price


def target(model: str, endpoint: str = "https://api.openai.com/v1", **prices: Decimal) -> Target:
    return Target(name="t", model=model, endpoint=endpoint, **prices)


def test_a_published_price_is_found_without_importing_litellm() -> None:
    assert price_of(target("gpt-4o"), 1000) == Price(Decimal("2.5"), Decimal(10))
    asking = "from tests.blocks.test_prices import price_of, target; price_of(target('gpt-4o'), 1000)"
    code = f"import sys; {asking}; sys.exit('litellm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_declared_price_goes_first_and_an_unknown_one_is_none() -> None:
    assert price_of(target("gpt-4o", input_price=Decimal(1), output_price=Decimal(2)), 1) == Price(
        Decimal(1), Decimal(2)
    )
    assert price_of(target("my-own-model"), 1) is None


def test_known_encodings_are_counted_and_others_bounded() -> None:
    assert count_prompt(["hello world"], "gpt-4o").counted
    assert not count_prompt(["hello world"], "qwen3:8b").counted
    assert not count_prompt(["hello world"], "openai/gpt-oss-20b").counted


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4-turbo"])
@given(text=st.text(max_size=200))
@settings(max_examples=50, deadline=None)
def test_the_bound_is_never_below_what_a_known_encoding_counts(model: str, text: str) -> None:
    assert count_prompt([text], "unknown").tokens >= count_prompt([text], model).tokens
