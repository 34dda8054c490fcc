"""Gather what a step goes by: passages found for its task, what the steps before it cite, and what its tools say."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from blocks.connections import database, language_model
from kowai.conversations import transcript
from kowai.errors import BudgetExhausted
from kowai.quoting import quoted_passages, spotlit
from kowai.signatures import ChooseTool
from kowai.storable import storable
from kowai.types import Passage, Question, Reply, Turn
from tasks import event_log, metered
from tasks.retrieve import find_reranked
from tasks.step import step
from tasks.team_steps import Work, count_iteration, left_to_spend
from tasks.teams import tell
from tasks.toolbox import Used, use
from tasks.tools import Ask, Observation, Occasion, tools
from tasks.versions import answering_of

FINISH = "finish"
MOST_PASSAGES = 16
LONGEST_OBSERVATION = 4_000
LONGEST_NAME, LONGEST_ARGUMENTS = 50, 500
LONGEST_NOTE = LONGEST_OBSERVATION + LONGEST_NAME + LONGEST_ARGUMENTS + 200  # with the numbers of its passages
LONGEST_RESULT = 6_000


class Gathered(NamedTuple):
    """Hold passages, which may be cited, notes of what tools said, and why nothing could be searched for at all."""

    passages: tuple[Passage, ...]
    notes: tuple[str, ...] = ()
    refusal: BudgetExhausted | None = None


@step
async def consult(question: Question, work: Work) -> Gathered:
    """Search for the task, then let the model use the step's tools until it has what it needs or a limit is reached.

    Without a model nobody chooses tools: what the task finds is what there is.
    """
    chosen = await answering_of(question)
    wanted: dict[str, Any] = {"k": chosen.retrieval.passages, "filters": question.filters, "query_id": question.id}
    try:
        found, *_ = await find_reranked(question.standalone, question.tenant_id, chosen.retrieval.reranker, **wanted)
    except BudgetExhausted as refusal:
        return Gathered((), refusal=refusal)
    gathered = Gathered(_merged(work.cited, found))
    if not work.step.tools or not (await language_model()).preferring(chosen.target).targets:
        return gathered
    ask = asking(work, role=chosen.persona.role, target=chosen.target)
    occasion = Occasion(question, ask)
    given = {"voice": chosen.persona.voice(), "task": question.text, "earlier": transcript(clipped(question.history))}
    given |= {"tools": described(work.step.tools)}
    iteration = 1
    while await count_iteration(work, iteration):
        told = {"passages": quoted_passages(gathered.passages), "notes": "\n".join(gathered.notes)}
        try:
            choice = (await ask(ChooseTool, given | told)).fields
        except BudgetExhausted as refusal:
            await _tell(work, iteration, FINISH, {}, Used("refused", Observation(refusal.sentence)))
            break
        name, arguments = str(choice["tool"]).strip(), dict(choice["arguments"] or {})
        if name == FINISH:
            break
        used = await use(name, arguments, work.step.tools, occasion)
        await _tell(work, iteration, name, arguments, used)
        gathered = _with(gathered, name, arguments, used.observation)
        iteration += 1
    return gathered


def asking(work: Work, **settings: Any) -> Ask:
    """Return the metered door for one step: each call is held to what the step may still spend."""

    async def ask(signature: Any, inputs: Mapping[str, Any], **options: Any) -> Reply:
        options = settings | options | {"query_id": work.step_id, "most": await left_to_spend(work)}
        return await metered.ask(signature, inputs, work.tenant_id, **options)

    return ask


def clipped(turns: Sequence[Turn]) -> list[Turn]:
    """Return what earlier steps said, each at most so long."""
    return [turn.model_copy(update={"text": turn.text[:LONGEST_RESULT]}) for turn in turns]


def described(names: Sequence[str]) -> str:
    """Describe tools to a model, one a line."""
    known = tools()
    return "\n".join(f"{name}({json.dumps(known[name].arguments)}): {known[name].description}" for name in names)


def _merged(first: Sequence[Passage], then: Sequence[Passage]) -> tuple[Passage, ...]:
    return tuple({passage.chunk_id: passage for passage in (*first, *then)}.values())[:MOST_PASSAGES]


def _with(gathered: Gathered, name: str, arguments: Mapping[str, Any], seen: Observation) -> Gathered:
    passages = _merged(gathered.passages, seen.passages)
    found = {passage.chunk_id for passage in seen.passages}
    places = [str(n) for n, passage in enumerate(passages, 1) if passage.chunk_id in found]
    where = f" (passages {', '.join(places)})" if places else ""
    said = spotlit(seen.text[:LONGEST_OBSERVATION])
    given = json.dumps(arguments, ensure_ascii=False, default=str)[:LONGEST_ARGUMENTS]
    return Gathered(passages, (*gathered.notes, f"{name[:LONGEST_NAME]}({given}): {said}{where}"))


async def _tell(work: Work, iteration: int, name: str, arguments: Mapping[str, Any], used: Used) -> None:
    """Append the use to the team's history without text, and with it to the step's, which erasure reaches."""
    brief = {
        "step": work.step.id,
        "iteration": iteration,
        "tool": storable(name[:LONGEST_NAME]),
        "outcome": used.outcome,
    }
    said = {"arguments": json.dumps(arguments, ensure_ascii=False, default=str), "observation": used.observation.text}
    full = brief | {key: storable(text[:LONGEST_OBSERVATION]) for key, text in said.items()}
    async with (await database()).transaction(work.tenant_id) as connection:
        await tell(connection, work.team_id, work.tenant_id, "team.tool", **brief)
        await event_log.append(connection, work.step_id, work.tenant_id, "step.tool", full)
