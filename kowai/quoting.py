"""Quotations: passages as a model reads them, and the exact characters a citation points at."""

import re
from collections.abc import Awaitable, Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from kowai.sentences import Span
from kowai.types import Citation, Passage

FENCE = re.compile(r"<(/?\s*passage)", re.IGNORECASE)
HEADER = re.compile(r"\[\[ ?##")

Embed = Callable[[Sequence[str]], Awaitable[NDArray[np.float32]]]


def quoted_passages(passages: Sequence[Passage]) -> str:
    """Number the passages and fence each off as a quotation that cannot close itself or pose as another part."""
    return "\n".join(
        f'<passage number="{n}">\n{spotlit(passage.text)}\n</passage>' for n, passage in enumerate(passages, 1)
    )


def spotlit(text: str) -> str:
    """Return a passage whose fences and field headers are broken (spotlighting by delimiting, Hines et al. 2024)."""
    return HEADER.sub("[ [ ##", FENCE.sub(r"‹\1", text))


def citation_of(passage: Passage, span: Span, score: float) -> Citation:
    """Cite characters [span.start, span.end) of a passage by their place in its document."""
    provenance = passage.model_dump(include={"document_id", "external_id", "title", "version", "page"})
    quote = passage.text[span.start : span.end]
    start, end = passage.start + span.start, passage.start + span.end
    return Citation(**provenance, start=start, end=end, quote=quote, score=score)
