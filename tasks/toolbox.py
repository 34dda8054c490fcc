"""Use one tool on a step's behalf: only what the step may use, behind a circuit, and its failure is an observation."""

import time
from collections.abc import Collection, Mapping
from typing import Any, Literal, NamedTuple

import structlog

from kowai.circuits import Circuit
from kowai.errors import BudgetExhausted, InvalidInput, KowaiError, NotFound
from tasks.tools import Observation, Occasion, tools

log = structlog.get_logger()

Outcome = Literal["done", "unknown", "bad_arguments", "refused", "resting", "failed"]

MISTAKES = (InvalidInput, NotFound)  # the model's, which say nothing about the tool's health

_circuits: dict[str, Circuit] = {}


class Used(NamedTuple):
    """Say what became of one use of a tool."""

    outcome: Outcome
    observation: Observation


async def use(name: str, arguments: Mapping[str, Any], allowed: Collection[str], occasion: Occasion) -> Used:
    """Return what the tool says, or why it says nothing: a tool that fails does not end its step."""
    if name not in allowed:
        return _without("unknown", f"There is no tool '{name}' here; there are {', '.join(allowed)}.")
    circuit = _circuits.setdefault(name, Circuit())
    if not circuit.enter(time.monotonic()):
        return _without("resting", f"'{name}' has failed again and again and rests now: go on without it.")
    try:
        observation = await tools()[name].use(occasion, arguments)
    except MISTAKES as error:
        circuit.succeed()
        return _without("bad_arguments", error.sentence)
    except BudgetExhausted as error:
        circuit.leave()
        return _without("refused", error.sentence)
    except Exception as error:
        circuit.fail(time.monotonic())
        log.warning("tool failed", tool=name, code=_code(error))
        return _without("failed", f"'{name}' failed ({_code(error)}): go on without it.")
    except BaseException:  # cancelled, which says nothing about the tool
        circuit.leave()
        raise
    circuit.succeed()
    return Used("done", observation)


def _without(outcome: Outcome, sentence: str) -> Used:
    return Used(outcome, Observation(sentence))


def _code(error: Exception) -> str:
    return error.code if isinstance(error, KowaiError) else type(error).__name__
