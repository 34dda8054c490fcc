"""Write a step's answer from what it has gathered, or extract it; a tool's result counts, and says that it is one."""

from typing import Any

from blocks.connections import language_model
from kowai.canaries import canary_of, marked
from kowai.conversations import transcript
from kowai.errors import BudgetExhausted
from kowai.signatures import AnswerFromPassages
from kowai.types import Draft, Question, Turn
from kowai.versions import Answering
from tasks.consult import Gathered, asking, clipped
from tasks.generate import refused
from tasks.guarded import guarded
from tasks.step import step
from tasks.team_steps import Work
from tasks.versions import answering_of
from tasks.writing import extracted, written

RESULTS_COUNT = """
The question is one step of a team's work. The conversation holds what other steps and tools have found: it counts as
passages do, so found is true when it holds the answer. A sentence that rests on it alone has no number, and names the
step or tool. Say what is missing when a step has no result.
"""


@step
async def compose(question: Question, work: Work, gathered: Gathered) -> Draft:
    """Return the step's cited answer, an abstention, or what a guard or a limit refuses."""
    chosen = await answering_of(question)
    block = (await language_model()).preferring(chosen.target)
    if gathered.refusal is not None:
        return refused(gathered.refusal)
    try:
        if block.targets and (gathered.passages or gathered.notes or question.history):
            draft = await _written(question, work, gathered, chosen)
        else:
            draft = await _extracted(question, work, gathered, chosen)
    except BudgetExhausted as refusal:
        draft = refused(refusal)
    draft = draft.model_copy(update={"persona_version": chosen.version})
    return await guarded(draft, question.tenant_id)


async def _written(question: Question, work: Work, gathered: Gathered, chosen: Answering) -> Draft:
    block = (await language_model()).preferring(chosen.target)
    notes = [Turn(role="tool", text=note) for note in gathered.notes]
    told = transcript([*clipped(question.history), *notes])
    voice = marked(chosen.persona.voice(), canary_of(question.tenant_id))
    inputs = {"voice": voice, "conversation": told, "question": question.text}
    instructions = (chosen.prompt.instructions or AnswerFromPassages.instructions) + RESULTS_COUNT
    prompt = chosen.prompt.model_copy(update={"instructions": instructions} if told else {})
    ask = asking(work, role=chosen.persona.role, target=chosen.target)
    whose: dict[str, Any] = {"tenant_id": question.tenant_id, "query_id": question.id}
    return await written(inputs, gathered.passages, block, ask, prompt, **whose, uncited=bool(told))


async def _extracted(question: Question, work: Work, gathered: Gathered, chosen: Answering) -> Draft:
    """Extract what answers the step's task, or else the team's question."""
    options: dict[str, Any] = {"least_confidence": chosen.retrieval.least_confidence}
    options |= {"tenant_id": question.tenant_id, "query_id": question.id}
    draft = await extracted(question.text, gathered.passages, **options)
    if draft.abstained and work.question != question.text:
        other = await extracted(work.question, gathered.passages, **options)
        return draft if other.abstained else other
    return draft
