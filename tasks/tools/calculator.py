"""Compute, because models miscount."""

from collections.abc import Mapping
from typing import Any

from kowai.teams.calculator import FUNCTIONS, calculate
from tasks.tools import Observation, Occasion, Tool, argument


async def use(occasion: Occasion, arguments: Mapping[str, Any]) -> Observation:
    expression = argument(arguments, "expression")
    return Observation(f"{expression} = {calculate(expression)}")


TOOL = Tool(
    description=f"Computes exactly: + - * / // % **, brackets, {', '.join(FUNCTIONS)}.",
    arguments={"expression": "arithmetic without units, as in (80 * 3.1) / 4"},
    use=use,
)
