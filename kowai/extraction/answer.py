"""The extractive answer: quote and cite the sentences that hold it, or say that nothing does."""

import inspect
from collections.abc import Awaitable, Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from kowai.citations import citation_of
from kowai.extraction.asked import read_question
from kowai.extraction.evidence import gather
from kowai.extraction.model import Judgement, assess, judge
from kowai.extraction.reading import Reading, closest, read, shortlist
from kowai.sentences import Span
from kowai.types import Citation, Draft, Passage

Embed = Callable[[Sequence[str]], NDArray[np.float32] | Awaitable[NDArray[np.float32]]]

MODEL = "extractive"
NOT_FOUND = "This is not in your documents."
LEAST_SHARE = 0.25


async def extract(
    question: str, passages: Sequence[Passage], embed: Embed, *, max_sentences: int = 2, threshold: float | None = None
) -> Draft:
    """Answer with the best-supported sentences of the passages, or abstain when the confidence is below `threshold`.

    `embed` returns float32 vectors (n, 384) of unit length from the MiniLM model that the weights were trained with.
    Each citation's score is the part of the support that its sentence holds, in [0, 1].
    """
    reading = await read_passages(question, passages, embed)
    if reading is None:
        return _abstention(0.0)
    by = judge()
    judgement = assess(reading, by)
    if judgement.confidence < (float(by.threshold) if threshold is None else threshold):
        return _abstention(judgement.confidence)
    citations = tuple(_cite(reading, judgement, *place) for place in supporting(reading, judgement, max_sentences))
    sentences = (f"{' '.join(citation.quote.split())} [{number}]" for number, citation in enumerate(citations, 1))
    text = " ".join(sentences)
    return Draft(text=text, citations=citations, confidence=judgement.confidence, abstained=False, model=MODEL)


def _abstention(confidence: float) -> Draft:
    return Draft(text=NOT_FOUND, confidence=confidence, abstained=True, model=MODEL)


async def read_passages(question: str, passages: Sequence[Passage], embed: Embed) -> Reading | None:
    """Read the sentences that may answer; None when there is no question or nothing to read."""
    asked = read_question(question)
    places = shortlist(asked, gather(asked, passages)) if asked.terms else []
    if not places:
        return None
    texts = [asked.text, *(evidence.sentences[index].text for evidence, index in places)]
    embedded = embed(texts)
    vectors = await embedded if inspect.isawaitable(embedded) else embedded
    cosines: list[float] = (vectors[1:] @ vectors[0]).tolist()
    return read(asked, closest(asked, places, cosines))


def supporting(reading: Reading, judgement: Judgement, most: int) -> list[tuple[int, float]]:
    """Return the sentences with most of the support, best first, each with its part: the best one and good others."""
    support = np.bincount(reading.owners, judgement.shares)
    best = np.argsort(-support, kind="stable")[: max(1, most)].tolist()
    return [(number, float(support[number])) for number in best if number == best[0] or support[number] >= LEAST_SHARE]


def _cite(reading: Reading, judgement: Judgement, number: int, support: float) -> Citation:
    """Cite a sentence, with the characters of the short answer it most likely holds."""
    close = reading.field[number]
    own = np.flatnonzero(reading.owners == number)
    chosen = reading.candidates[int(own[np.argmax(judgement.shares[own])])]
    words, passage, span = close.sentence.words, close.evidence.passage, close.sentence.span
    start = passage.start + span.start
    answer = Span(start + words[chosen.first].start, start + words[chosen.last].end)
    return citation_of(passage, span, support).model_copy(update={"answer": answer})
