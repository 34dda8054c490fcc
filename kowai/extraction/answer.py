"""The extractive answer: quote and cite the sentence that holds it, or say that nothing does."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from kowai.extraction.asked import read_question
from kowai.extraction.field import Read, find, unread
from kowai.extraction.model import confidence_of
from kowai.extraction.sentence_features import Close
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
) -> Draft:
    """Answer with the best-supported sentence of the passages, or abstain when the confidence is below `threshold`.

    `embed` returns float32 vectors (n, 384) of unit length from the MiniLM model that the weights were trained with;
    `read`, where it can, the states of the tokens as well, which sharpen the confidence.
    """
    asked = read_question(question)
    field = await find(asked, passages, embed, read)
    if not field.sentences:
        return _abstention(0.0)
    best = field.sentences[0]
    sure = confidence_of(field.described(best))
    return _quoted(best, sure) if sure >= threshold else _abstention(sure)


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
    return max((confidence_of(field.described(close)) for close in cited or field.sentences[:1]), default=0.0)


def _overlaps(close: Close, citation: Citation) -> bool:
    passage, quote = close.evidence.passage, close.sentence.quote
    start, end = passage.start + quote.start, passage.start + quote.end
    return passage.document_id == citation.document_id and start < citation.end and citation.start < end


def _abstention(confidence: float) -> Draft:
    return Draft(text=NOT_FOUND, confidence=confidence, abstained=True, model=MODEL, cost=FREE)


def _quoted(close: Close, confidence: float) -> Draft:
    citation = citation_of(close.evidence.passage, close.sentence.quote, confidence)
    said = " ".join(citation.quote.split())
    sentence = Statement(text=said, citations=(1,), supported=True)
    spoken: dict[str, Any] = {"abstained": False, "model": MODEL, "cost": FREE, "confidence": confidence}
    return Draft(text=f"{said} [1]", citations=(citation,), sentences=(sentence,), **spoken)
