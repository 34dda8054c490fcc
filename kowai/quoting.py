"""Quotations: passages as a model reads them, and the exact characters a citation points at."""

from collections.abc import Awaitable, Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from kowai.sentences import Span
from kowai.types import Citation, Passage

Embed = Callable[[Sequence[str]], Awaitable[NDArray[np.float32]]]


def quoted_passages(passages: Sequence[Passage]) -> str:
    """Number the passages and fence each off as a quotation."""
    return "\n".join(f'<passage number="{n}">\n{passage.text}\n</passage>' for n, passage in enumerate(passages, 1))


def citation_of(passage: Passage, span: Span, score: float) -> Citation:
    """Cite characters [span.start, span.end) of a passage by their place in its document."""
    provenance = passage.model_dump(include={"document_id", "external_id", "title", "version", "page"})
    quote = passage.text[span.start : span.end]
    start, end = passage.start + span.start, passage.start + span.end
    return Citation(**provenance, start=start, end=end, quote=quote, score=score)
