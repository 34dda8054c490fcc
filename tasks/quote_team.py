"""Say what a team will take at most: every step with every use of its tools, and the planner's drafts."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from blocks.connections import database, language_model
from blocks.language_model import LanguageModel
from kowai.personas import personas
from kowai.pricing import total
from kowai.prompting import prompted, texts_of, told
from kowai.questions import LONGEST, checked_question
from kowai.quotes import Quote
from kowai.signatures import ChooseTool, DrawUpPlan, told_to
from kowai.teams.plan import MOST_STEPS, PlannedStep
from kowai.types import Preferences
from kowai.versions import Answering, PromptSetting
from tasks.compose import RESULTS_COUNT
from tasks.consult import LONGEST_NOTE, LONGEST_RESULT, MOST_PASSAGES, described
from tasks.draw_plan import LONGEST_MISTAKE, MOST_DRAFTS, check_planner, told_to_planner
from tasks.quote import quote_of
from tasks.quote_aside import of_checks, of_finding
from tasks.quote_load import asked_of, load_of
from tasks.quote_sums import NOTHING, UTF8_BYTES, Load, Sums, fenced, worst
from tasks.quote_vectors import of_answer, of_search, plus
from tasks.step import step
from tasks.teams import Assignment, planned
from tasks.tools import tools
from tasks.tools.persona import PASSAGES
from tasks.versions import live_versions

ASKING, SEARCHING = "persona", "search"  # the tool that lets another persona answer, and the one that finds passages
LABEL = 100  # characters before a result or a note: whose it is


class Weight(NamedTuple):
    """Hold what a step can take: what a team's limit does not hold for, its answer, and each use of a tool.

    That is putting passages in order, and an embedder that is paid.
    """

    aside: Sums
    answer: list[Sums]
    uses: list[list[Sums]]


@step
async def quote_team(assignment: Assignment, tenant_id: UUID) -> Quote:
    """Return what a team can take at most, within its limits; in a plan still to be drawn up all steps are the dearest.

    Raises BadPlan and PlannerMissing.
    """
    model, plan, question = await language_model(), planned(assignment), checked_question(assignment.question)
    if plan is None:
        check_planner(model)
    limits, steps = (plan.limits, plan.steps) if plan else (assignment.limits, _any_steps())
    texts = [each.text(question) for each in steps] if plan else [LONGEST * "x"] * len(steps)
    async with (await database()).transaction(tenant_id) as connection:
        live = await live_versions(connection)
    load = await load_of([*texts, question], await asked_of(tenant_id, live), most_passages=MOST_PASSAGES)
    weighed = await asyncio.to_thread(lambda: [_weighed(each, load, n, model) for n, each in enumerate(steps)])
    if plan is None:
        weighed = [max(weighed, key=lambda one: _dollars(one.answer + one.uses[0]))] * MOST_STEPS
    uses = sorted((use for each in weighed for use in each.uses), key=_dollars, reverse=True)[: limits.iterations]
    calls = [one for each in (*uses, *(each.answer for each in weighed)) for one in each]
    calls += [] if plan else [_draft(load.questions[-1], model)] * MOST_DRAFTS
    spent, aside = total([one.worst for one in calls]), [each.aside for each in weighed]
    if spent is not None and limits.dollars is not None:
        spent = min(spent, limits.dollars)
    bounds = {"worst_dollars": total([spent, *(one.worst for one in aside)]), "minutes": limits.seconds / 60}
    bounds |= {"prompt_tokens": None, "output_tokens": None, "dollars": None, "basis": "limits"}
    quote = quote_of(len(weighed), [*calls, *aside], load, model, speaker=steps[0].persona)
    return quote.model_copy(update=bounds)


def _dollars(calls: Sequence[Sums]) -> tuple[bool, Decimal]:
    """Return what orders calls by price: nothing is dearer than what has none."""
    dollars = total([one.worst for one in calls])
    return dollars is None, dollars or Decimal(0)


def _any_steps() -> tuple[PlannedStep, ...]:
    """Return for each persona the step that takes most."""
    needs = tuple(f"step{n}" for n in range(1, MOST_STEPS))
    return tuple(PlannedStep(id="step", persona=name, tools=tuple(tools()), needs=needs) for name in personas())


def _weighed(step: PlannedStep, load: Load, place: int, model: LanguageModel) -> Weight:
    chosen, question = load.asked.personas[step.persona], load.questions[-1]
    load = load._replace(questions=[load.questions[place]])
    aside = plus(of_finding(load, model), *_compared(chosen, question, load, model))
    if not model.targets:
        return Weight(aside, [], [])
    block, check = model.preferring(chosen.target), of_checks(load, chosen, model)
    earlier = len(step.needs) * UTF8_BYTES * (LONGEST_RESULT + LABEL)
    iterations = step.limits.iterations if step.tools else 0
    aside = plus(aside, *[_found(step, load, model)] * iterations)
    notes = iterations * UTF8_BYTES * (LONGEST_NOTE + LABEL)
    told_besides = earlier + notes
    instructions = (chosen.prompt.instructions or told_to(None).instructions) + RESULTS_COUNT
    prompt = chosen.prompt.model_copy(update={"instructions": instructions})
    answer = _call(_asked(chosen, load, MOST_PASSAGES, prompt), told_besides, load, block, chosen.persona.role)
    use = [_call(_choosing(chosen, step, load), told_besides, load, block, chosen.persona.role)]
    if ASKING in step.tools:
        use += [check, max((_other(name, load, block) for name in personas()), key=lambda one: _dollars([one]))]
    return Weight(aside, [answer, check], [use] * iterations)


def _compared(chosen: Answering, question: str, load: Load, model: LanguageModel) -> list[Sums]:
    """Return what it takes to hold an answer against the passages; one is extracted for the team's question too."""
    widest = chosen.model_copy(update={"retrieval": chosen.retrieval.model_copy(update={"passages": MOST_PASSAGES})})
    asked = [load] if model.targets else [load, load._replace(questions=[question])]
    return [of_answer(widest, each, model) for each in asked]


def _found(step: PlannedStep, load: Load, model: LanguageModel) -> Sums:
    """Return what an embedder takes at most for one use of the step's tools."""
    load = load._replace(questions=[LONGEST * "\U0001f375"])
    if ASKING not in step.tools:
        return of_search(load, model) if SEARCHING in step.tools else NOTHING
    others = [of_answer(Answering(persona=persona), load, model) for persona in personas().values()]
    return plus(of_search(load, model), max(others, key=lambda one: one.worst_tokens))


def _call(prompt: Sequence[str], besides: int, load: Load, block: LanguageModel, role: str) -> Sums:
    """Return the most that a call takes which is told the step's task and so many tokens besides."""

    def added(name: str) -> list[int]:
        return [load.as_understood(name)[0] + besides]

    return Sums(0, 0, Decimal(0), *worst(prompt, added, block.for_role(role)))


def _asked(chosen: Answering, load: Load, passages: int, prompt: PromptSetting) -> list[str]:
    inputs = told(chosen.persona, Preferences(), load.asked.tenant_id, question="")
    return prompted(inputs, fenced(load.longest[:passages]), prompt)


def _choosing(chosen: Answering, step: PlannedStep, load: Load) -> list[str]:
    passages = fenced(load.longest[:MOST_PASSAGES])
    inputs = {"voice": chosen.persona.voice(), "task": "", "earlier": "", "passages": passages, "notes": ""}
    return texts_of(ChooseTool, inputs | {"tools": described(step.tools)})


def _other(name: str, load: Load, block: LanguageModel) -> Sums:
    """Return the most that another persona's answer takes, as its file describes it."""
    shipped = Answering(persona=personas()[name])
    prompt = _asked(shipped, load, PASSAGES, PromptSetting())
    counts = [UTF8_BYTES * LONGEST]
    return Sums(0, 0, Decimal(0), *worst(prompt, lambda _: counts, block.for_role(shipped.persona.role)))


def _draft(question: str, model: LanguageModel) -> Sums:
    prompt = texts_of(DrawUpPlan, told_to_planner(question))
    counts = [UTF8_BYTES * (2 * LONGEST_MISTAKE + LABEL)]
    return Sums(0, 0, Decimal(0), *worst(prompt, lambda _: counts, model.for_role("careful")))
