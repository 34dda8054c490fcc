"""Answer from the passages alone, offline: find, quote and cite the best-supported sentences, or abstain."""

from kowai.extraction.answer import LEAST_CONFIDENCE, MODEL, NOT_FOUND, confidence, extract

__all__ = ["LEAST_CONFIDENCE", "MODEL", "NOT_FOUND", "confidence", "extract"]
