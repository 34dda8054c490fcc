"""The calculator computes exactly what arithmetic says, and nothing but arithmetic."""

from contextlib import suppress
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kowai.teams.calculator import BadExpression, calculate


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("2 + 3 * 4", "14"),
        ("80 * 3.1", "248"),
        ("0.1 + 0.2", "0.3"),
        ("1/3*3", "1"),
        ("2^10", "1024"),
        ("-2 ** 2", "-4"),
        ("7 // 2 + 7 % 2", "4"),
        ("-7 // 2", "-4"),
        ("-7 % 3", "2"),
        ("round(2.345, 2)", "2.35"),
        ("round(2.5)", "3"),
        ("mean(1, 2, 6) + max(1, 5) - abs(-3)", "5"),
        ("1_000 × 1.19", "1190"),
        ("sqrt(2) ** 2", "2"),
        ("123456789012345.678901 + 0", "123456789012345.678901"),
        ("1e3", "1000"),
        ("-0.0", "0"),
        ("(1\n + 22)", "23"),
        ("pi", "3.141592653589793238462643383"),
    ],
)
def test_arithmetic_has_its_value(expression: str, value: str) -> None:
    assert calculate(expression) == value


@pytest.mark.parametrize(
    "expression",
    [
        *("", "1 +", "two", "1 / 0", "1 % 0", "sqrt(-1)", "9 ** 9 ** 9", "10 ** 2000", "0 ** 0", "(" * 400, "9" * 501),
        *("True", "'a' * 3", "3j", "0x10", "[1]", "(1, 2)", "1 < 2", "1 if 1 else 2", "lambda: 1", "1 and 2"),
        *(
            "__import__('os')",
            "abs.__class__",
            "().__class__",
            "open('x')",
            "round(1, ndigits=2)",
            "max()",
            "min(*[1])",
        ),
        *("min(*[1])", "round(1, 99999999)", "mean()", "abs()", "x := 1", "1; 2", "1\n2", "nan", "inf - inf", "٣ + 1"),
    ],
)
def test_everything_else_is_refused(expression: str) -> None:
    with pytest.raises(BadExpression):
        calculate(expression)


NUMBERS = st.integers(-(10**6), 10**6).map(lambda number: (f"({number})", Fraction(number)))


def combined(parts: st.SearchStrategy[tuple[str, Fraction]]) -> st.SearchStrategy[tuple[str, Fraction]]:
    def join(one: tuple[str, Fraction], sign: str, other: tuple[str, Fraction]) -> tuple[str, Fraction]:
        values = {"+": one[1] + other[1], "-": one[1] - other[1], "*": one[1] * other[1]}
        return f"({one[0]} {sign} {other[0]})", values[sign]

    return st.builds(join, parts, st.sampled_from("+-*"), parts)


@given(st.recursive(NUMBERS, combined, max_leaves=4))
def test_whole_numbers_are_computed_exactly(made: tuple[str, Fraction]) -> None:
    expression, value = made
    assert Fraction(Decimal(calculate(expression))) == value


@given(st.one_of(st.text(), st.text("0123456789.+-*/%^() ,eroundsqt_", max_size=60)))
def test_any_text_has_a_finite_value_or_is_refused(text: str) -> None:
    with suppress(BadExpression):
        assert Decimal(calculate(text)).is_finite()
