"""Citations: which characters of which document version support which sentence of an answer."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from kowai.sentences import Span, sentence_spans
from kowai.types import Citation, Passage

MARKER = re.compile(r"\s*\[(\d{1,3})\]")
WORD = re.compile(r"\w+")
LEAST_SUPPORT = 0.3


class Cited(NamedTuple):
    """Hold an answer whose markers [1], [2] ... number `citations`."""

    text: str
    citations: tuple[Citation, ...]
    supported: float


def quoted_passages(passages: Sequence[Passage]) -> str:
    """Number the passages and fence each off as a quotation."""
    return "\n".join(f'<passage number="{n}">\n{passage.text}\n</passage>' for n, passage in enumerate(passages, 1))


def cite(answer: str, passages: Sequence[Passage]) -> Cited:
    """Keep each marker whose passage supports its sentence, and number the citations in order of appearance."""
    numbers: dict[tuple[int, int], int] = {}
    citations: list[Citation] = []
    pieces: list[str] = []
    supported = 0
    sentences = _sentences(answer)
    for sentence, marked in sentences:
        kept: list[int] = []
        for index in marked:
            citation = _support(sentence, passages[index - 1]) if 0 < index <= len(passages) else None
            if citation is None:
                continue
            key = (index, citation.start)
            if key not in numbers:
                citations.append(citation)
                numbers[key] = len(citations)
            kept.append(numbers[key])
        supported += bool(kept)
        pieces.append(sentence + "".join(f" [{number}]" for number in dict.fromkeys(kept)))
    return Cited(" ".join(pieces), tuple(citations), supported / max(1, len(sentences)))


def _sentences(answer: str) -> list[tuple[str, list[int]]]:
    """Split an answer into sentences, each with the markers that follow it."""
    found: list[tuple[str, list[int]]] = []
    bare = MARKER.sub("", answer)
    spans = sentence_spans(bare)
    marks = _marks(answer)
    for number, span in enumerate(spans):
        until = spans[number + 1].start if number + 1 < len(spans) else len(bare) + 1
        found.append((bare[span.start : span.end], [mark for place, mark in marks if span.start < place <= until]))
    return found


def _marks(answer: str) -> list[tuple[int, int]]:
    """Return (place in the text without markers, number) of each marker."""
    removed, marks = 0, list[tuple[int, int]]()
    for match in MARKER.finditer(answer):
        marks.append((match.start() - removed, int(match[1])))
        removed += match.end() - match.start()
    return marks


def _support(sentence: str, passage: Passage) -> Citation | None:
    """Return the sentence of the passage that shares most words with `sentence`, if it shares enough."""
    wanted = _words(sentence)
    spans = sentence_spans(passage.text)
    if not wanted or not spans:
        return None
    shares = [len(wanted & _words(passage.text[span.start : span.end])) / len(wanted) for span in spans]
    best = max(range(len(spans)), key=shares.__getitem__)
    return citation_of(passage, spans[best], shares[best]) if shares[best] >= LEAST_SUPPORT else None


def citation_of(passage: Passage, span: Span, score: float) -> Citation:
    """Cite characters [span.start, span.end) of a passage by their place in its document."""
    provenance = passage.model_dump(include={"document_id", "external_id", "title", "version", "page"})
    quote = passage.text[span.start : span.end]
    start, end = passage.start + span.start, passage.start + span.end
    return Citation(**provenance, start=start, end=end, quote=quote, score=score)


def _words(text: str) -> set[str]:
    return {word.lower() for word in WORD.findall(text) if len(word) > 2 or word.isdigit()}
