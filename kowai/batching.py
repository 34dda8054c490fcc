"""How many documents are worked on together: many short ones, few long ones."""

from collections.abc import Sequence

FIRST = 32
LEAST, MOST = 8, 256
CHUNKS = 256  # enough that what a batch costs by itself is little beside their embedding


def batch_of(chunks: Sequence[int]) -> int:
    """Return how many documents a batch should have after one whose documents had so many `chunks` each."""
    mean = sum(chunks) / len(chunks) if chunks else 0.0
    return max(LEAST, min(MOST, round(CHUNKS / max(mean, 1.0))))
