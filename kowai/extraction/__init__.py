"""Answer from the passages alone, offline: find, quote and cite the best-supported sentences, or abstain."""

from kowai.extraction.answer import MODEL, NOT_FOUND, confidence, extract

__all__ = ["MODEL", "NOT_FOUND", "confidence", "extract"]
