"""The extractive answer: quote and cite the sentence that holds it, or say that nothing does."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from kowai.extraction.asked import Asked, read_question
from kowai.extraction.evidence import gather
from kowai.extraction.model import judge
from kowai.extraction.reading import closest, shortlist
from kowai.extraction.sentence_features import Close, sentence_features
from kowai.quoting import Embed, citation_of
from kowai.types import Citation, Draft, Passage, Statement

MODEL = "extractive"
FREE = Decimal(0)
NOT_FOUND = "This is not in your documents."
LEAST_CONFIDENCE = 0.3


async def extract(
    question: str, passages: Sequence[Passage], embed: Embed, *, threshold: float = LEAST_CONFIDENCE
) -> Draft:
    """Answer with the best-supported sentence of the passages, or abstain when the confidence is below `threshold`.

    `embed` returns float32 vectors (n, 384) of unit length from the MiniLM model that the weights were trained with.
    """
    asked = read_question(question)
    field = await _read(asked, passages, embed)
    if not field:
        return _abstention(0.0)
    sure = _confidence(asked, field[0], field)
    return _quoted(field[0], sure) if sure >= threshold else _abstention(sure)


async def confidence(question: str, passages: Sequence[Passage], embed: Embed, citations: Sequence[Citation]) -> float:
    """Return how likely it is, in [0, 1], that what an answer cites holds the answer: the best of its sentences."""
    asked = read_question(question)
    field = await _read(asked, passages, embed)
    cited = [close for close in field if any(_overlaps(close, citation) for citation in citations)]
    return max((_confidence(asked, close, field) for close in cited or field[:1]), default=0.0)


async def _read(asked: Asked, passages: Sequence[Passage], embed: Embed) -> tuple[Close, ...]:
    """Return the few sentences that may answer, closest first."""
    places = shortlist(asked, gather(asked, passages)) if asked.terms else []
    if not places:
        return ()
    vectors = await embed([asked.text, *(evidence.sentences[index].text for evidence, index in places)])
    cosines: list[float] = (vectors[1:] @ vectors[0]).tolist()
    return closest(asked, places, cosines)


def _confidence(asked: Asked, close: Close, field: Sequence[Close]) -> float:
    return judge().confidence(sentence_features(asked, close, field) | {"place_in_field": 0.0})


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
