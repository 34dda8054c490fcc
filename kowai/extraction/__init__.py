"""Answer from the passages alone, offline: find, quote and cite the best-supported sentences, or abstain."""

from kowai.extraction.answer import NOT_FOUND, extract

__all__ = ["NOT_FOUND", "extract"]
