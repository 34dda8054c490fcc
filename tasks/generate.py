"""Write the answer: by the configured model, or by extracting the sentences that hold it."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from blocks.connections import language_model
from kowai.errors import BudgetExhausted
from kowai.prompting import told
from kowai.types import Draft, Passage, Question, Verdict
from tasks import metered
from tasks.guarded import guarded
from tasks.step import step
from tasks.tell import tell_written, telling
from tasks.versions import answering_of
from tasks.writing import extracted, written


@step
async def generate(question: Question, passages: Sequence[Passage]) -> Draft:
    """Return a cited answer made from the passages alone, an abstention, or what a guard or a limit refuses."""
    try:
        draft = await _written(question, passages)
    except BudgetExhausted as refusal:
        draft = refused(refusal)
    return await guarded(draft, question.tenant_id)


async def _written(question: Question, passages: Sequence[Passage]) -> Draft:
    chosen = await answering_of(question)
    persona, block = chosen.persona, (await language_model()).preferring(chosen.target)
    whose: dict[str, Any] = {"tenant_id": question.tenant_id, "query_id": question.id}
    if not passages or not block.targets:
        length, least = question.preferences.length, chosen.retrieval.least_confidence
        draft = await extracted(question.text, passages, length, least, **whose)
        await tell_written(question, draft.text)
    else:
        inputs = told(
            persona, question.preferences, question.tenant_id, question=question.text, history=question.history
        )
        ask = partial(metered.ask, **whose, role=persona.role, target=chosen.target)
        async with telling(question, "answer") as hear:
            draft = await written(inputs, passages, block, ask, chosen.prompt, **whose, hear=hear)
    return draft.model_copy(update={"persona_version": chosen.version})


def refused(refusal: BudgetExhausted) -> Draft:
    """Return what becomes of an answer that would cost too much."""
    verdict = Verdict(allowed=False, code=refusal.code, sentence=refusal.sentence)
    return Draft(text=refusal.sentence, confidence=None, abstained=True, model="none", refusal=verdict)
