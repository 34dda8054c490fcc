"""Writing: an answer from passages, by a model whose citations are checked or by extraction; live and in replay."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

from blocks.language_model import LanguageModel
from kowai.citations import Cited, Pair, cite, fitting
from kowai.extraction import LEAST_CONFIDENCE, MODEL, NOT_FOUND, confidence, extract
from kowai.extraction.field import Read
from kowai.lengthening import at_length
from kowai.quoting import Embed, quoted_passages
from kowai.signatures import AnswerFromPassages, CheckSupport, told_to
from kowai.types import Draft, Length, Passage, Prompt, Reply
from kowai.versions import PromptSetting
from tasks import metered
from tasks.sentence_vectors import sentence_vectors_for

Ask = Callable[..., Awaitable[Reply]]
AS_SHIPPED = PromptSetting()
MOST_CHECKED = 24_000  # bytes of claims and quotes in one check, which bounds what it costs; beyond, nothing is held


async def extracted(
    question: str,
    passages: Sequence[Passage],
    length: Length | None = None,
    least_confidence: float = LEAST_CONFIDENCE,
    *,
    tenant_id: UUID,
    query_id: UUID | None = None,
) -> Draft:
    """Answer with the best-supported sentences of the passages, or abstain below `least_confidence`."""
    options: dict[str, Any] = {"read": metered.states_for(tenant_id), "threshold": least_confidence}
    options["several"] = length != "short"
    found = await extract(question, passages, sentence_vectors_for(tenant_id, query_id), **options)
    draft = at_length(found, passages, length)
    inputs: dict[str, Any] = {"question": question, **({"length": length} if length else {})}
    if least_confidence != LEAST_CONFIDENCE:
        inputs["least_confidence"] = least_confidence
    return draft.model_copy(update={"prompt": Prompt(signature=MODEL, inputs=inputs)})


async def written(
    inputs: dict[str, Any],
    passages: Sequence[Passage],
    block: LanguageModel,
    ask: Ask,
    prompt: PromptSetting = AS_SHIPPED,
    *,
    tenant_id: UUID,
    query_id: UUID | None = None,
    uncited: bool = False,
    **options: Any,
) -> Draft:
    """Let a model answer `inputs` from the passages; keep what they support, and abstain when that is nothing.

    `uncited` keeps an answer that no passage supports, each sentence marked: something else may support it.

    `ask(signature, inputs, **options)` returns a model's Reply; `options` go along with the question for the answer.
    """
    calls: list[UUID] = []

    async def asked(signature: Any, given: dict[str, Any], **options: Any) -> Reply:
        reply = await ask(signature, given, **options)
        calls.extend([reply.call_id] if reply.call_id else [])
        return reply

    signature = told_to(prompt.instructions)
    options |= {"plain": "answer"} | ({"demos": prompt.demos} if prompt.demos else {})
    reply = await asked(signature, inputs | {"passages": quoted_passages(passages)}, **options)
    confirm = _confirmation(asked) if block.check_support else None
    found = bool(reply.fields["found"])
    answer = str(reply.fields["answer"]) if found else ""
    kept = "mark" if uncited else block.unsupported
    embed = sentence_vectors_for(tenant_id, query_id)
    cited = await cite(answer, passages, embed, unsupported=kept, confirm=confirm)
    told: dict[str, Any] = {"uncited": uncited, "embed": embed, "read": metered.states_for(tenant_id)}
    draft = await _draft(str(inputs["question"]), cited, passages, reply, **told)
    told = {"signature": AnswerFromPassages.__name__, "instructions": signature.instructions, "uncited": uncited}
    return draft.model_copy(update={"prompt": Prompt(**told, inputs=inputs, demos=prompt.demos, calls=tuple(calls))})


def _confirmation(ask: Ask) -> Callable[[Sequence[Pair]], Awaitable[list[bool]]]:
    async def confirm(pairs: Sequence[Pair]) -> list[bool]:
        written = [f"{n}. CLAIM: {claim}\n   QUOTE: {quote}\n" for n, (claim, quote) in enumerate(pairs, 1)]
        asked = fitting(pairs, [len(each.encode()) for each in written], MOST_CHECKED)
        reply = await ask(CheckSupport, {"pairs": "".join(written[n] for n in asked).rstrip("\n")}, role="fast")
        held = {int(number) for number in reply.fields["supported"]}
        return [n in asked and n + 1 in held for n in range(len(pairs))]

    return confirm


async def _draft(
    question: str, cited: Cited, passages: Sequence[Passage], reply: Reply, *, uncited: bool, embed: Embed, read: Read
) -> Draft:
    """Return the checked answer; one that nothing supports is an abstention, unless that is asked for."""
    spoken = reply.model_dump(include={"model", "usage", "cost", "fallback"})
    if uncited and cited.text and not cited.citations:
        return Draft(text=cited.text, sentences=cited.sentences, confidence=None, abstained=False, **spoken)
    if not cited.citations:
        return Draft(text=NOT_FOUND, confidence=None, abstained=True, **spoken)
    sure = await confidence(question, passages, embed, cited.citations, read=read)
    supported = {"citations": cited.citations, "sentences": cited.sentences, "confidence": sure * cited.supported}
    return Draft(text=cited.text, abstained=False, **supported, **spoken)
