"""What the answers of a batch's questions take: tokens and US dollars, expected and at worst."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from blocks.embedder import Embedder
from blocks.language_model import LanguageModel, Target
from blocks.price_table import price_of
from blocks.tokens import count_prompt
from kowai import quotes
from kowai.conversations import needs_rephrasing
from kowai.personas import AUTO, roster
from kowai.pricing import cost, dearest, total, worst_case
from kowai.prompting import prompted, texts_of, told
from kowai.questions import LONGEST
from kowai.signatures import ChoosePersona
from kowai.types import Preferences, Usage
from kowai.versions import Answering

FRAMING_BYTES = 500  # what the engine sends besides texts: settings of the request, the form of the reply
UTF8_BYTES = 4  # of a character at most, and no text has more tokens than bytes

Counts = Callable[[str], list[int]]


class Past(NamedTuple):
    """Average what the tenant's last answers took; None is unknown, because there are too few."""

    output_tokens: float | None
    seconds: float | None


class Purse(NamedTuple):
    """Hold the US dollars left to a tenant today, and above how many somebody has to agree; None is for the asker."""

    left_today: Decimal
    approve_above: Decimal | None


class Asked(NamedTuple):
    """Hold who is asked by whom: what is live of every persona, and how the asker likes to be answered."""

    tenant_id: UUID
    personas: Mapping[str, Answering]
    preferences: Preferences


class Embedders(NamedTuple):
    """Hold what embeds questions to find passages, and what embeds sentences to compare them; None costs nothing."""

    searching: Embedder | None = None
    comparing: Embedder | None = None


class Load(NamedTuple):
    """Hold the questions of a batch, some of their passages and the longest that retrieval could ever bring."""

    asked: Asked
    questions: list[str]
    sampled: list[str]
    longest: list[str]
    past: Past
    purse: Purse
    embedders: Embedders

    def as_asked(self, model: str) -> list[int]:
        """Count each question's tokens in the words of whoever asks it."""
        return [count_prompt([question], model).tokens for question in self.questions]

    def as_understood(self, model: str) -> list[int]:
        """Count each question's tokens as it is searched for: a long one may have been put in any other words."""
        longest = count_prompt([""], model).tokens + UTF8_BYTES * LONGEST
        counted = zip(self.questions, self.as_asked(model), strict=True)
        return [longest if needs_rephrasing(question, ()) else count for question, count in counted]


class Sums(NamedTuple):
    """Sum calls: expected prompt and output tokens and dollars, the worst case of both, and that of one call."""

    prompt: int
    output: int
    dollars: Decimal | None
    worst_tokens: int
    worst: Decimal | None
    dearest: Decimal | None


NOTHING = Sums(0, 0, Decimal(0), 0, Decimal(0), Decimal(0))


def of_voice(name: str, load: Load, model: LanguageModel) -> Sums:
    """Sum what it takes to have this persona, or whom `auto` chooses, answer every question."""
    return _for_anybody(load, model) if name == AUTO else _for_persona(load, load.asked.personas[name], model)


def _for_persona(load: Load, chosen: Answering, model: LanguageModel) -> Sums:
    targets = model.preferring(chosen.target).for_role(chosen.persona.role)
    count, first = len(load.questions), targets[0]
    sample = [count_prompt(_prompt(chosen, load.asked, passages), first.model).tokens for passages in load.sampled]
    prompt = sum(load.as_asked(first.model)) + count * (sum(sample) // len(sample))
    output = count * min(first.max_output_tokens, expected_output(load))
    longest = _prompt(chosen, load.asked, fenced(load.longest[: chosen.retrieval.passages]))
    return Sums(prompt, output, _price(first, prompt, output, count), *worst(longest, load.as_asked, targets))


def expected_output(load: Load) -> int:
    return round(quotes.ASSUMED_OUTPUT_TOKENS if load.past.output_tokens is None else load.past.output_tokens)


def fenced(chunks: Sequence[str]) -> str:
    return "".join(f'<passage number="{n}">\n{chunk}\n</passage>\n' for n, chunk in enumerate(chunks, 1))


def _for_anybody(load: Load, model: LanguageModel) -> Sums:
    """Sum as if the dearest persona answered each item, and at worst after a model had chosen it."""
    each = [_for_persona(load, persona, model) for persona in speakers(AUTO, load.asked)]
    prompt = texts_of(ChoosePersona, {"message": "", "personas": roster()})
    tokens, dollars, choice = worst(prompt, load.as_understood, model.for_role("fast"))
    return Sums(
        max(one.prompt for one in each),
        max(one.output for one in each),
        dearest([one.dollars for one in each]),
        max(one.worst_tokens for one in each) + tokens,
        total([dearest([one.worst for one in each]), dollars]),
        total([dearest([one.dearest for one in each]), choice]),
    )


def speakers(name: str, asked: Asked) -> list[Answering]:
    """Return the persona, or for `auto` of each role the one that has most to be told."""
    if name != AUTO:
        return [asked.personas[name]]
    by_length = sorted(asked.personas.values(), key=lambda one: len("".join(_prompt(one, asked))))
    return list({each.persona.role: each for each in by_length}.values())


def expected(prompt: Sequence[str], added: Counts, output: int, target: Target) -> tuple[int, int, Decimal | None]:
    """Return the tokens and dollars of sending a prompt with each of what is added, which brings `output` tokens."""
    counts, frame = added(target.model), count_prompt(list(prompt), target.model).tokens
    sent, said = sum(counts) + frame * len(counts), output * len(counts)
    return sent, said, _price(target, sent, said, len(counts))


def worst(
    prompt: Sequence[str], added: Counts, targets: Sequence[Target]
) -> tuple[int, Decimal | None, Decimal | None]:
    """Return the most tokens and dollars that sending a prompt with each of what is added can take.

    Each target may be asked, bill what it was asked, and never be heard of. The dollars are those of all calls and
    those of one.
    """
    each = [_worst(prompt, added(target.model), target) for target in targets]
    return sum(tokens for tokens, *_ in each), total([one[1] for one in each]), total([one[2] for one in each])


def _worst(prompt: Sequence[str], counts: Sequence[int], target: Target) -> tuple[int, Decimal | None, Decimal | None]:
    frame = count_prompt([*prompt, "x" * FRAMING_BYTES], target.model).tokens
    prompts = [frame + count for count in counts]
    price, said = price_of(target, max(prompts)), target.max_output_tokens
    usage = Usage(prompt_tokens=sum(prompts), completion_tokens=said * len(prompts))
    return sum(prompts) + said * len(prompts), cost(price, usage), worst_case(price, max(prompts), said)


def _price(target: Target, prompt: int, output: int, calls: int) -> Decimal | None:
    return cost(price_of(target, prompt // calls), Usage(prompt_tokens=prompt, completion_tokens=output))


def _prompt(chosen: Answering, asked: Asked, passages: str = "") -> list[str]:
    """Return the texts of a prompt as it will be sent, with an empty question and, in a batch, nothing before it."""
    inputs = told(chosen.persona, asked.preferences, asked.tenant_id, question="")
    return prompted(inputs, passages, chosen.prompt)
