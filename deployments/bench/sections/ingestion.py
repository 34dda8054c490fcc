"""How fast documents become findable, and how much of that time is the embedder's."""

import time
from collections.abc import Iterator

from blocks.embedder import local_model
from deployments.bench.figures import Figure
from deployments.bench.ground import WARMING, Ground, name_of
from deployments.bench.peers import INGESTION
from deployments.bench.sections import Section
from kowai.terms import known_as


def measure(ground: Ground) -> Iterator[Figure]:
    """Index generated documents, then embed the same texts alone: the rest is KowAI's own cost."""
    seconds = ground.seconds_to_fill
    yield Figure("ingestion", (ground.documents - WARMING) / seconds, "chunks/s", peer=INGESTION)
    yield Figure("embedder's share of ingestion", 100 * _embedding_seconds(ground) / seconds, "%", ">= 85")


def _embedding_seconds(ground: Ground) -> float:
    """Embed what was embedded: a document's name stands before its text."""
    texts = [f"{known_as(None, name_of(number))}\n{text}" for number, text in enumerate(ground.texts)]
    model = local_model(cache_folder=ground.folder / "models")
    model.embed(texts[:WARMING])
    began = time.perf_counter()
    model.embed(texts[WARMING:])
    return time.perf_counter() - began


section = Section("Chunks per second and the embedder's share.", measure, order=2)
