"""The extractive answer: quote and cite the sentence that holds it, or say that nothing does."""

from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from kowai.citations import citation_of
from kowai.extraction.asked import read_question
from kowai.extraction.evidence import gather
from kowai.extraction.model import judge
from kowai.extraction.reading import closest, shortlist
from kowai.extraction.sentence_features import Close, sentence_features
from kowai.types import Draft, Passage

Embed = Callable[[Sequence[str]], Awaitable[NDArray[np.float32]]]

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
    places = shortlist(asked, gather(asked, passages)) if asked.terms else []
    if not places:
        return _abstention(0.0)
    vectors = await embed([asked.text, *(evidence.sentences[index].text for evidence, index in places)])
    cosines: list[float] = (vectors[1:] @ vectors[0]).tolist()
    field = closest(asked, places, cosines)
    features = sentence_features(asked, field[0], field) | {"place_in_field": 0.0}
    confidence = judge().confidence(features)
    return _quoted(field[0], confidence) if confidence >= threshold else _abstention(confidence)


def _abstention(confidence: float) -> Draft:
    return Draft(text=NOT_FOUND, confidence=confidence, abstained=True, model=MODEL, cost=FREE)


def _quoted(close: Close, confidence: float) -> Draft:
    citation = citation_of(close.evidence.passage, close.sentence.quote, confidence)
    text = f"{' '.join(citation.quote.split())} [1]"
    return Draft(text=text, citations=(citation,), confidence=confidence, abstained=False, model=MODEL, cost=FREE)
