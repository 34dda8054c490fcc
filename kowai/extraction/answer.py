"""The extractive answer: quote and cite the sentences that hold it, or say that nothing does."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from kowai.extraction.asked import Asked, read_question
from kowai.extraction.field import Field, Read, find, unread
from kowai.extraction.sentence_features import Close
from kowai.extraction.several import MOST, Quoted, beside, distinct, parts_of, quoted
from kowai.quoting import Embed, citation_of
from kowai.types import Citation, Draft, Passage, Statement

MODEL = "extractive"
FREE = Decimal(0)
NOT_FOUND = "This is not in your documents."
LEAST_CONFIDENCE = 0.35


async def extract(
    question: str,
    passages: Sequence[Passage],
    embed: Embed,
    *,
    threshold: float = LEAST_CONFIDENCE,
    read: Read = unread,
    several: bool = True,
) -> Draft:
    """Answer with the best-supported sentence of the passages, or abstain when the confidence is below `threshold`.

    A question for a list, for a procedure or of several parts gets up to three sentences, or a list, if `several`, each
    with its own citation; the confidence is the closest one's. `embed` returns float32 vectors (n, 384) of unit length
    from the MiniLM model that the weights were trained with; `read`, where it can, the states of the tokens as well,
    which sharpen the confidence.
    """

    async def judged(asked: Asked) -> tuple[Field, Quoted | None]:
        field = await find(asked, passages, embed, read)
        best = field.sentences[0] if field.sentences else None
        return field, best and quoted(best, field.answerable())

    field, best = await judged(read_question(question))
    parts = [(await judged(part))[1] for part in parts_of(question)] if several else []
    sure = [part for part in parts if part and part.confidence >= threshold]
    if best and best.confidence >= threshold:
        return _quoting([best, *(beside(field, best, threshold) if several else ()), *sure[:MOST]], best.confidence)
    if sure and len(sure) == len(parts):
        return _quoting(sure[:MOST], min(part.confidence for part in sure))
    return _abstention(best.confidence if best else 0.0)


async def confidence(
    question: str,
    passages: Sequence[Passage],
    embed: Embed,
    citations: Sequence[Citation],
    *,
    read: Read = unread,
) -> float:
    """Return how likely it is, in [0, 1], that what an answer cites holds the answer: the best of its sentences."""
    asked = read_question(question)
    field = await find(asked, passages, embed, read)
    cited = [close for close in field.sentences if any(_overlaps(close, citation) for citation in citations)]
    return max((field.confidence(close) for close in cited or field.sentences[:1]), default=0.0)


def _overlaps(close: Close, citation: Citation) -> bool:
    passage, quote = close.evidence.passage, close.sentence.quote
    start, end = passage.start + quote.start, passage.start + quote.end
    return passage.document_id == citation.document_id and start < citation.end and citation.start < end


def _abstention(confidence: float) -> Draft:
    return Draft(text=NOT_FOUND, confidence=confidence, abstained=True, model=MODEL, cost=FREE)


def _quoting(found: Sequence[Quoted], confidence: float) -> Draft:
    citations = tuple(citation_of(*each) for each in distinct(found))
    said = [" ".join(citation.quote.split()) for citation in citations]
    sentences = tuple(Statement(text=text, citations=(n,), supported=True) for n, text in enumerate(said, 1))
    text = " ".join(f"{sentence} [{number}]" for number, sentence in enumerate(said, 1))
    spoken: dict[str, Any] = {"abstained": False, "model": MODEL, "cost": FREE, "confidence": confidence}
    return Draft(text=text, citations=citations, sentences=sentences, **spoken)
