"""What the answers of a batch's questions take: tokens and US dollars, expected and at worst."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

import dspy

from blocks.language_model import LanguageModel, Target
from blocks.price_table import price_of
from blocks.tokens import count_prompt
from kowai import quotes
from kowai.personas import AUTO, roster
from kowai.pricing import cost
from kowai.prompting import prompted, told
from kowai.signatures import ChoosePersona
from kowai.types import Preferences, Usage
from kowai.versions import Answering

FRAMING_BYTES = 500  # what the engine sends besides texts: settings of the request, the form of the reply


class Past(NamedTuple):
    """Average what the tenant's last answers took; None is unknown, because there are too few."""

    output_tokens: float | None
    seconds: float | None


class Asked(NamedTuple):
    """Hold who is asked by whom: what is live of every persona, and how the asker likes to be answered."""

    tenant_id: UUID
    personas: Mapping[str, Answering]
    preferences: Preferences


class Load(NamedTuple):
    """Hold the questions of a batch, some of their passages and the longest that retrieval could ever bring."""

    asked: Asked
    questions: list[str]
    sampled: list[str]
    longest: str
    past: Past
    left: Decimal


class Sums(NamedTuple):
    """Sum one persona's items: expected prompt and output tokens and dollars, and the worst case of both."""

    prompt: int
    output: int
    dollars: Decimal | None
    worst_tokens: int
    worst: Decimal | None


def of_voice(name: str, load: Load, model: LanguageModel) -> Sums:
    """Sum what it takes to have this persona, or whom `auto` chooses, answer every question."""
    return _for_anybody(load, model) if name == AUTO else _for_persona(load, load.asked.personas[name], model)


def _for_persona(load: Load, chosen: Answering, model: LanguageModel) -> Sums:
    targets = model.preferring(chosen.target).for_role(chosen.persona.role)
    count, first = len(load.questions), targets[0]
    counted = sum(count_prompt([question], first.model).tokens for question in load.questions)
    sample = [count_prompt(_prompt(chosen, load.asked, passages), first.model).tokens for passages in load.sampled]
    prompt = counted + count * (sum(sample) // len(sample))
    expected = quotes.ASSUMED_OUTPUT_TOKENS if load.past.output_tokens is None else load.past.output_tokens
    output = count * min(first.max_output_tokens, round(expected))
    worst = [_worst(load, _prompt(chosen, load.asked, load.longest), target) for target in targets]
    return Sums(
        prompt,
        output,
        cost(price_of(first, prompt // count), Usage(prompt_tokens=prompt, completion_tokens=output)),
        max(tokens for tokens, _ in worst),
        _dearest([dollars for _, dollars in worst]),
    )


def _for_anybody(load: Load, model: LanguageModel) -> Sums:
    """Sum as if the dearest persona answered each item, and at worst after a model had chosen it."""
    each = [_for_persona(load, persona, model) for persona in speakers(AUTO, load.asked)]
    asked = dspy.ChatAdapter().format(ChoosePersona, [], {"message": "", "personas": roster()})
    prompt = [str(message["content"]) for message in asked]
    choices = [_worst(load, prompt, target) for target in model.for_role("fast")]
    return Sums(
        max(one.prompt for one in each),
        max(one.output for one in each),
        _dearest([one.dollars for one in each]),
        max(one.worst_tokens for one in each) + max(tokens for tokens, _ in choices),
        total([_dearest([one.worst for one in each]), _dearest([dollars for _, dollars in choices])]),
    )


def speakers(name: str, asked: Asked) -> list[Answering]:
    """Return the persona, or for `auto` of each role the one that has most to be told."""
    if name != AUTO:
        return [asked.personas[name]]
    by_length = sorted(asked.personas.values(), key=lambda one: len("".join(_prompt(one, asked))))
    return list({each.persona.role: each for each in by_length}.values())


def _worst(load: Load, prompt: Sequence[str], target: Target) -> tuple[int, Decimal | None]:
    """Return the most tokens and dollars that sending this prompt with every question to this target can take."""
    frame = count_prompt([*prompt, "x" * FRAMING_BYTES], target.model).tokens
    prompts = [frame + count_prompt([question], target.model).tokens for question in load.questions]
    usage = Usage(prompt_tokens=sum(prompts), completion_tokens=target.max_output_tokens * len(prompts))
    return sum(prompts) + target.max_output_tokens * len(prompts), cost(price_of(target, max(prompts)), usage)


def _prompt(chosen: Answering, asked: Asked, passages: str = "") -> list[str]:
    """Return the texts of a prompt as it will be sent, with an empty question and, in a batch, nothing before it."""
    inputs = told(chosen.persona, asked.preferences, asked.tenant_id, question="")
    return prompted(inputs, passages, chosen.prompt)


def _dearest(amounts: Sequence[Decimal | None]) -> Decimal | None:
    return None if None in amounts else max(amount for amount in amounts if amount is not None)


def total(amounts: Sequence[Decimal | None]) -> Decimal | None:
    return None if None in amounts else sum((amount for amount in amounts if amount is not None), Decimal(0))
