"""Say what evaluations will take before they start: the answers, their rankings and the judge, within their limits."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import NamedTuple
from uuid import UUID

from blocks.connections import database, language_model
from blocks.language_model import LanguageModel
from blocks.tokens import count_prompt
from kowai.errors import InvalidInput
from kowai.masking import Masking
from kowai.optimisation import half_of
from kowai.personas import askable
from kowai.pricing import total
from kowai.prompting import texts_of
from kowai.quotes import Quote
from kowai.settings import settings
from kowai.signatures import JudgeAnswer
from kowai.suites import Case, Limits
from kowai.types import Value
from tasks.batches import checked_personas
from tasks.evaluations import DEFAULT_PERSONA, Trial, versions_of
from tasks.judge import JUDGE, MOST_JUDGED, expected_of
from tasks.policy import policy_of
from tasks.quote import of_answers, quote_of
from tasks.quote_aside import of_finding
from tasks.quote_load import asked_of, load_of
from tasks.quote_sums import Load, Sums, expected, expected_output, speakers, worst
from tasks.quote_vectors import of_likeness
from tasks.step import step
from tasks.suites import read_suite
from tasks.versions import live_versions, slot_of

REASON_TOKENS = 60


class Draft(NamedTuple):
    """Hold a checked setting that is not stored."""

    slot: str
    setting: Value


class Asking(NamedTuple):
    """Hold who is asked which cases of a trial, and what they come to: all calls, within the trial's limits."""

    speaker: str
    items: int
    load: Load
    sums: list[Sums]
    limits: Limits


@step
async def quote_evaluations(trials: Sequence[Trial], tenant_id: UUID) -> Quote:
    """Return what these evaluations take together. Raises NotFound, UnknownPersona, and InvalidInput for none."""
    return _together([await weigh(trial, tenant_id) for trial in trials], await language_model())


@step
async def quote_promotion(candidate: UUID | Draft, suite_id: UUID, tenant_id: UUID) -> Quote:
    """Return what it takes to evaluate a version, or a draft of one, and what is live on the same suite.

    Raises NotFound.
    """
    if isinstance(candidate, Draft):
        slot, versions, drafts = candidate.slot, (), {candidate.slot: candidate.setting}
    else:
        async with (await database()).transaction(tenant_id) as connection:
            slot, versions, drafts = await slot_of(connection, candidate), (candidate,), None
    persona = slot.partition(":")[2]
    incumbent = Trial(suite_id, (persona,) if persona else ())
    sides = [
        await weigh(incumbent._replace(versions=versions), tenant_id, drafts),
        await weigh(incumbent, tenant_id),
    ]
    return _together(sides, await language_model())


async def weigh(trial: Trial, tenant_id: UUID, drafts: Mapping[str, Value] | None = None) -> Asking:
    """Return what one evaluation asks of whom. Raises as `receive_evaluation` does."""
    async with (await database()).transaction(tenant_id) as connection:
        suite = await read_suite(connection, trial.suite_id)
        versions = await versions_of(connection, trial, await live_versions(connection))
    known, given = askable(), suite.about.persona or DEFAULT_PERSONA
    chosen = checked_personas(trial.personas or [given], known)
    groups = defaultdict[str, list[Case]](list)
    for case in suite.cases:
        if not trial.held_out or half_of(case.id) == "held_out":
            for persona in (trial.personas and chosen) or [case.persona or given]:
                groups[persona].append(case)
    groups = {persona: asked for persona, asked in groups.items() if persona in known}
    if not groups:
        raise InvalidInput("Nothing of this suite would be asked.")
    model, asked = await language_model(), await asked_of(tenant_id, versions, drafts=drafts)
    load = await load_of([case.question for group in groups.values() for case in group], asked)
    masks = (await policy_of(tenant_id)).masks_prompts
    weighed = partial(_weighed, groups, load, model, judged=trial.judged, masks=masks)
    sums = await asyncio.to_thread(weighed)  # counting tokens takes seconds
    return Asking(next(iter(groups)), len(load.questions), load, sums, trial.limits or suite.about.limits)


def _weighed(
    groups: Mapping[str, Sequence[Case]], load: Load, model: LanguageModel, *, judged: bool, masks: bool
) -> list[Sums]:
    sums, begin = list[Sums](), 0
    for persona, cases in groups.items():
        part = load._replace(questions=load.questions[begin : begin + len(cases)])
        begin += len(cases)
        sums += of_answers(part, [persona], model)
        again = of_finding(part, model)  # a ranking goes further down than the answer's
        sums.append(again._replace(prompt=0, output=0, dollars=Decimal(0)))
        answers = [case.answers for case in cases]
        alike = [of_likeness(chosen, answers, part, model) for chosen in speakers(persona, part.asked)]
        sums.append(max(alike, key=lambda one: one.worst_tokens))
        if judged and model.has_role(JUDGE):
            sums.append(_judged(cases, part, model, masks=masks))
    return sums


def _judged(cases: Sequence[Case], load: Load, model: LanguageModel, *, masks: bool) -> Sums:
    told = [expected_of(case) for case in cases]
    told = [*map(Masking().mask, told)] if masks else told
    prompt = texts_of(JudgeAnswer, {"question": "", "expected": "", "answer": ""})

    def added(answer: int, name: str) -> list[int]:
        pairs = zip(load.questions, told, strict=True)
        return [count_prompt([*pair], name).tokens + answer for pair in pairs]

    targets = model.for_role(JUDGE)
    likely = expected(prompt, partial(added, expected_output(load)), REASON_TOKENS, targets[0])
    return Sums(*likely, *worst(prompt, partial(added, MOST_JUDGED), targets))


def _together(askings: Sequence[Asking], model: LanguageModel) -> Quote:
    if not askings:
        raise InvalidInput("There is no suite to evaluate.")
    first, sums = askings[0], [one for asking in askings for one in asking.sums]
    items = sum(asking.items for asking in askings)
    quote = quote_of(items, sums, first.load, model, speaker=first.speaker)
    most = [bounded(asking) for asking in askings]
    likely = [_likely(asking, bound) for asking, bound in zip(askings, most, strict=True)]
    return quote.model_copy(update={"dollars": total(likely), "worst_dollars": total(most)})


def _likely(asking: Asking, most: Decimal | None) -> Decimal | None:
    """Return what an evaluation is expected to cost: it stops where its limit is used up."""
    likely, bounds = total([one.dollars for one in asking.sums]), (asking.limits.dollars, most)
    return None if likely is None else min([likely, *(bound for bound in bounds if bound is not None)])


def bounded(asking: Asking) -> Decimal | None:
    """Return the most that an evaluation can cost: all its calls, or its limit and what was begun before it."""
    most, once = total([one.worst for one in asking.sums]), total([one.dearest for one in asking.sums])
    if most is None or once is None or asking.limits.dollars is None:
        return most
    return min(most, asking.limits.dollars + settings().batch_at_once * once)
