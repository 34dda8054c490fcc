"""A quoted answer made longer: the sentences that follow the quoted one in its passage, each cited."""

from collections.abc import Sequence

from kowai.quoting import citation_of
from kowai.sentences import sentence_spans
from kowai.types import Citation, Draft, Length, Passage, Statement

MORE_SENTENCES = 2


def at_length(draft: Draft, passages: Sequence[Passage], length: Length | None) -> Draft:
    """Return a quoted answer with up to two more sentences when a long one is wanted; one sentence is short already."""
    if length != "long" or not draft.citations:
        return draft
    added = _following(draft.citations[-1], passages)
    first = len(draft.citations) + 1
    said = [" ".join(citation.quote.split()) for citation in added]
    text = " ".join([draft.text, *(f"{sentence} [{number}]" for number, sentence in enumerate(said, first))])
    more = [Statement(text=sentence, citations=(n,), supported=True) for n, sentence in enumerate(said, first)]
    longer = {"text": text, "citations": (*draft.citations, *added), "sentences": (*draft.sentences, *more)}
    return draft.model_copy(update=longer)


def _following(cited: Citation, passages: Sequence[Passage]) -> list[Citation]:
    for passage in passages:
        same = (passage.document_id, passage.version) == (cited.document_id, cited.version)
        if same and passage.start <= cited.start and cited.end <= passage.end:
            spans = [span for span in sentence_spans(passage.text) if passage.start + span.start >= cited.end]
            return [citation_of(passage, span, cited.score) for span in spans[:MORE_SENTENCES]]
    return []
