"""How fast documents become findable, and how much of that time is the embedder's."""

import time
from collections.abc import Iterator, Sequence

from blocks.embedder import local_model
from deployments.bench.figures import Figure
from deployments.bench.ground import KOWAI_UP, WARMING, Ground, generated_texts, name_of, seconds_to_ingest, started
from deployments.bench.peers import INGESTION
from deployments.bench.sections import Section
from kowai.chunking import chunk
from kowai.indexing import embedded_text
from kowai.terms import known_as
from kowai.types import LoadedDocument

CHUNKS = 10  # a document of a few pages
SHARE = 5  # there are so many times more chunks in documents of one


def measure(ground: Ground) -> Iterator[Figure]:
    """Index generated documents, then embed the same texts alone: the rest is KowAI's own cost.

    What a document costs besides its chunks weighs most where it has one. Both kinds are indexed into an empty KowAI.
    """
    yield from _figures(f"documents of {CHUNKS} chunks", ground, *_long(ground))
    yield from _figures("documents of one chunk", ground, ground.texts, ground.seconds_to_fill)


def _long(ground: Ground) -> tuple[Sequence[str], float]:
    """Return documents of several chunks and the seconds that indexing them took."""
    parts = list(generated_texts(ground.documents // SHARE))
    texts = ["\n\n".join(parts[first : first + CHUNKS]) for first in range(0, len(parts), CHUNKS)]
    with started(ground.folder / "long", *KOWAI_UP, "--bare") as running:
        running.settle()
        return texts, seconds_to_ingest(running, texts)


def _figures(of: str, ground: Ground, texts: Sequence[str], seconds: float) -> Iterator[Figure]:
    chunks = [_chunks(number, text) for number, text in enumerate(texts)]
    counted = sum(map(len, chunks[WARMING:]))
    yield Figure(f"ingestion, {of}", counted / seconds, "chunks/s", peer=INGESTION)
    yield Figure(f"embedder's share, {of}", 100 * _embedding_seconds(ground, chunks) / seconds, "%", ">= 85")


def _chunks(number: int, text: str) -> list[str]:
    """Return what is embedded of a document: its name stands before each chunk."""
    document = LoadedDocument(text=text, media_type="text/plain")
    return [embedded_text(known_as(None, name_of(number)), each) for each in chunk(document)]


def _embedding_seconds(ground: Ground, documents: Sequence[Sequence[str]]) -> float:
    model = local_model(cache_folder=ground.folder / "models")
    model.embed([text for document in documents[:WARMING] for text in document])
    began = time.perf_counter()
    model.embed([text for document in documents[WARMING:] for text in document])
    return time.perf_counter() - began


section = Section("Chunks per second and the embedder's share.", measure, order=2)
