"""A quoted answer made longer: the sentences that follow the closest one in its passage, each cited."""

from collections.abc import Sequence

from kowai.quoting import citation_of
from kowai.sentences import sentence_spans
from kowai.types import Citation, Draft, Length, Passage, Statement

MORE_SENTENCES = 2


def at_length(draft: Draft, passages: Sequence[Passage], length: Length | None) -> Draft:
    """Return a quoted answer with up to two more sentences when a long one is wanted."""
    if length != "long" or not draft.citations:
        return draft
    added = _following(draft.citations, passages)
    first = len(draft.citations) + 1
    said = [" ".join(citation.quote.split()) for citation in added]
    text = " ".join([draft.text, *(f"{sentence} [{number}]" for number, sentence in enumerate(said, first))])
    more = [Statement(text=sentence, citations=(n,), supported=True) for n, sentence in enumerate(said, first)]
    longer = {"text": text, "citations": (*draft.citations, *added), "sentences": (*draft.sentences, *more)}
    return draft.model_copy(update=longer)


def _following(cited: Sequence[Citation], passages: Sequence[Passage]) -> list[Citation]:
    """Return what follows the first citation and is not cited yet."""
    closest = cited[0]
    taken = {(citation.document_id, citation.start) for citation in cited}
    for passage in passages:
        same = (passage.document_id, passage.version) == (closest.document_id, closest.version)
        if same and passage.start <= closest.start and closest.end <= passage.end:
            spans = [span for span in sentence_spans(passage.text) if passage.start + span.start >= closest.end]
            free = [span for span in spans if (passage.document_id, passage.start + span.start) not in taken]
            return [citation_of(passage, span, closest.score) for span in free[:MORE_SENTENCES]]
    return []
