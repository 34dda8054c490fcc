"""What a step of a team may use: one file each, found by `discover`."""

from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

from kowai.errors import InvalidInput
from kowai.registry import discover
from kowai.types import Passage, Question, Reply

Ask = Callable[..., Awaitable[Reply]]


class BadArguments(InvalidInput):
    code = "bad_tool_arguments"


class Occasion(NamedTuple):
    """Hold on whose behalf a tool is used; `ask` is the metered door, held to what the step may still spend."""

    question: Question
    ask: Ask


class Observation(NamedTuple):
    """Hold what a tool says, and the passages it found, which may be cited."""

    text: str
    passages: tuple[Passage, ...] = ()


class Tool(NamedTuple):
    """Describe a tool to a model: what it does, its arguments by name, and what carries it out."""

    description: str
    arguments: Mapping[str, str]
    use: Callable[[Occasion, Mapping[str, Any]], Awaitable[Observation]]


@cache
def tools() -> dict[str, Tool]:
    """Return every tool by name, in the order of their files."""
    return discover("tasks.tools", Tool)


def argument(arguments: Mapping[str, Any], name: str) -> str:
    """Return a text that a model has to give. Raises BadArguments."""
    value = arguments.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise BadArguments(f"The argument '{name}' is missing: a text.")
    return value.strip()
