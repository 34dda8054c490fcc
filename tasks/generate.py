"""Write the answer: by the configured model, or by extracting the sentences that hold it."""

from collections.abc import Sequence

from blocks.connections import language_model
from kowai.citations import cite, quoted_passages
from kowai.errors import BudgetExhausted
from kowai.extraction import NOT_FOUND, extract
from kowai.personas import personas
from kowai.signatures import AnswerFromPassages
from kowai.types import Draft, Passage, Question, Reply, Verdict
from tasks import metered
from tasks.step import step
from tasks.tell import tell_written, telling


@step
async def generate(question: Question, passages: Sequence[Passage]) -> Draft:
    """Return a cited answer made from the passages alone, or an abstention."""
    if not passages or not (await language_model()).targets:
        draft = await extract(question.text, passages, metered.sentence_vectors)
        await tell_written(question, draft.text)
        return draft
    persona = personas()[question.persona]
    inputs = {"voice": persona.voice(), "passages": quoted_passages(passages), "question": question.text}
    try:
        async with telling(question, "answer") as hear:
            reply = await metered.ask(
                AnswerFromPassages,
                inputs,
                question.tenant_id,
                query_id=question.id,
                role=persona.role,
                hear=hear,
                plain="answer",
            )
    except BudgetExhausted as refusal:
        return _refused(refusal)
    return _checked(reply, passages)


def _refused(refusal: BudgetExhausted) -> Draft:
    verdict = Verdict(allowed=False, code=refusal.code, sentence=refusal.sentence)
    return Draft(text=refusal.sentence, confidence=None, abstained=True, model="none", refusal=verdict)


def _checked(reply: Reply, passages: Sequence[Passage]) -> Draft:
    """Keep what the passages support; an answer that nothing supports is an abstention."""
    draft = Draft(
        text=NOT_FOUND,
        confidence=None,
        abstained=True,
        model=reply.model,
        usage=reply.usage,
        cost=reply.cost,
        fallback=reply.fallback,
    )
    cited = cite(str(reply.fields["answer"]), passages)
    if not reply.fields["found"] or not cited.citations:
        return draft
    supported = {"citations": cited.citations, "confidence": cited.supported, "abstained": False}
    return draft.model_copy(update={"text": cited.text, **supported})
