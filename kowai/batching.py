"""How many documents are worked on together: many short ones, few long ones."""

from collections.abc import Iterator, Sequence

FIRST = 32
LEAST, MOST = 8, 512
CHUNKS = 512  # enough that what a batch costs by itself is little beside their embedding
TOGETHER = CHUNKS + CHUNKS // 2  # seconds of embedding: then progress is seen, and a crash does no more of it again


def batch_of(chunks: Sequence[int]) -> int:
    """Return how many documents a batch should have after one whose documents had so many `chunks` each."""
    mean = sum(chunks) / len(chunks) if chunks else 0.0
    return max(LEAST, min(MOST, round(CHUNKS / max(mean, 1.0))))


def portions(chunks: Sequence[int]) -> Iterator[slice]:
    """Yield slices of documents, which have so many `chunks` each: TOGETHER at most, or one document that has more."""
    start = held = 0
    for place, count in enumerate(chunks):
        if place > start and held + count > TOGETHER:
            yield slice(start, place)
            start, held = place, 0
        held += count
    if chunks:
        yield slice(start, len(chunks))
