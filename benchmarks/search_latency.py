"""Measure how fast search answers and finds the nearest vectors, for tenants of several sizes in one store.

Run `KOWAI_DATA=... python -m benchmarks.search_latency --chunks 100000`: chunks are made of real ones, a vector between
two real vectors, the words of one text with a third of them drawn from all texts and two that hardly any other holds.
They are written through the same statement as any document; questions are real ones. Recall compares the ten nearest
chunks with an exact search.
"""

import argparse
import asyncio
import json
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from uuid import UUID, uuid4

import numpy as np
import psycopg
from sqlalchemy import text

from benchmarks.search_ground import SPACE, Source, Vectors, embed, open_store, read_collection, write_batch
from blocks.database import Database
from deployments.bench.ground import generated_texts
from kowai.filters import Filters
from kowai.indexing import embedded_text
from kowai.types import Chunk
from tasks.search_sql import propose, search

CHUNKS_A_DOCUMENT, DOCUMENTS_A_BATCH = 10, 20
CHUNKS_A_TEXT = 50  # of more, made of one text, the nearest are hardly nearer than the next: no search tells them apart
NEAREST = text(
    "select chunk_id from (select chunk_id, embedding <=> cast(:vector as halfvec) as distance from chunk_vector"
    " offset 0) as measured order by distance limit 10"
)


class Material(NamedTuple):
    """Hold real texts as words, the vector of each, and every word as often as it occurs."""

    texts: list[list[str]]
    vectors: Vectors
    words: list[str]


def gather(names: Sequence[str], cache: Path) -> tuple[Material, list[str]]:
    """Return what chunks are made of, and questions."""
    collections = [read_collection(name) for name in names]
    chunks = [
        embedded_text(source.title, chunk)
        for collection in collections
        for source in collection.sources
        for chunk in source.chunks()
    ]
    texts = [chunk.split() for chunk in chunks]
    questions = [question for collection in collections for question in collection.questions.values()]
    return Material(texts, embed(chunks, cache), [word for words in texts for word in words]), questions


def generated(count: int, cache: Path) -> tuple[Material, list[str]]:
    """Return the same for `count` chunks of texts made up of the samples' words, for who has no collections."""
    texts = list(generated_texts(count // CHUNKS_A_TEXT))
    words = [text.split() for text in texts]
    questions = [f"What is said about {text.split('. ')[0].lower()}?" for text in texts]
    return Material(words, embed(texts, cache), [word for own in words for word in own]), questions


def invent(material: Material, count: int) -> Iterator[tuple[Source, list[Chunk], Vectors]]:
    """Yield documents of `count` chunks in all, the same ones every time."""
    chance, numbers = random.Random(0), np.random.default_rng(0)
    for number in range(count // CHUNKS_A_DOCUMENT):
        pairs = numbers.integers(0, len(material.texts), (CHUNKS_A_DOCUMENT, 2))
        share = numbers.uniform(0.55, 1.0, (CHUNKS_A_DOCUMENT, 1))
        vectors = share * material.vectors[pairs[:, 0]] + (1 - share) * material.vectors[pairs[:, 1]]
        vectors += numbers.normal(0, 0.02, vectors.shape)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        texts = [_mixed(material, material.texts[first], chance) for first in map(int, pairs[:, 0])]
        chunks = [Chunk(ordinal, 0, len(words), None, "", words) for ordinal, words in enumerate(texts)]
        yield Source(f"document-{number}", f"Title {number}", ""), chunks, vectors.astype(np.float32)


def _mixed(material: Material, words: list[str], chance: random.Random) -> str:
    mixed = [chance.choice(material.words) if chance.random() < 0.3 else word for word in words]
    return " ".join([*mixed, *(f"w{int(chance.paretovariate(0.3)) % 50_000_000}" for _ in range(2))])


async def fill(
    store: Database, tenants: Sequence[UUID], shares: Sequence[int], material: Material, count: int
) -> float:
    """Write chunks for all tenants in turn; return the milliseconds that writing one took."""
    chance, spent = random.Random(1), 0.0
    waiting: dict[UUID, list[tuple[Source, list[Chunk], Vectors]]] = {tenant: [] for tenant in tenants}
    for document in invent(material, count):
        (tenant,) = chance.choices(tenants, shares)
        waiting[tenant].append(document)
        if len(waiting[tenant]) == DOCUMENTS_A_BATCH:
            spent += await _timed(store, tenant, waiting[tenant])
    for tenant, rest in waiting.items():
        spent += await _timed(store, tenant, rest) if rest else 0.0
    return 1000 * spent / count


async def _timed(store: Database, tenant: UUID, batch: list[tuple[Source, list[Chunk], Vectors]]) -> float:
    started = time.perf_counter()
    await write_batch(store, tenant, batch)
    batch.clear()
    return time.perf_counter() - started


async def ask(store: Database, tenant: UUID, questions: Sequence[str], vectors: Vectors) -> dict[str, float]:
    """Search twice, the second time by the clock; return milliseconds and recall."""
    recalls: list[float] = []
    for question, vector in zip(questions, vectors, strict=True):
        async with store.transaction(tenant) as connection:
            found = await propose(connection, question, vector, space=SPACE.model, filters=Filters())
            proposed = {candidate.chunk_id for candidate in found.candidates} if found else set[int]()
            nearest = set(await connection.scalars(NEAREST, {"vector": str(vector.tolist())}))
            recalls.append(len(nearest & proposed) / len(nearest))
    times: list[float] = []
    for question, vector in zip(questions, vectors, strict=True):
        async with store.transaction(tenant) as connection:
            started = time.perf_counter()
            await search(connection, question, vector, space=SPACE.model)
            times.append(1000 * (time.perf_counter() - started))
    p50, p95 = np.percentile(times, [50, 95])
    return {"p50 ms": round(p50, 1), "p95 ms": round(p95, 1), "recall@10": round(float(np.mean(recalls)), 4)}


async def measure(options: argparse.Namespace) -> dict[str, object]:
    material, questions = (
        gather(options.sets, options.cache) if options.sets else generated(options.chunks, options.cache)
    )
    asked = random.Random(2).sample(questions, options.questions)
    vectors = embed(asked, options.cache)
    async with open_store() as (store, owner_url):
        tenants = [uuid4() for _ in options.shares]
        with psycopg.connect(owner_url, autocommit=True) as owner:
            for tenant in tenants:
                owner.execute("insert into tenant (id, name, suspended) values (%s, %s, false)", (tenant, str(tenant)))
            written = await fill(store, tenants, options.shares, material, options.chunks)
            owner.execute("vacuum analyze")
            counts = [_count(owner, tenant) for tenant in tenants]
        print(f"writing: {written:.2f} ms a chunk")
        results: dict[str, object] = {"write ms/chunk": round(written, 2)}
        for tenant, count in zip(tenants, counts, strict=True):
            results[f"{count} chunks"] = row = await ask(store, tenant, asked, vectors)
            print(f"{count:>9,} chunks  {row}", flush=True)
    return results


def _count(owner: psycopg.Connection, tenant: UUID) -> int:
    row = owner.execute("select count(*) from chunk where tenant_id = %s", (tenant,)).fetchone()
    return row[0] if row else 0


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure latency and recall of search for tenants of several sizes.")
    parser.add_argument(
        "--sets", nargs="*", default=["squad_v1.1", "scifact"], help="what chunks are made of; none: made-up texts"
    )
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument(
        "--shares", type=int, nargs="+", default=[70, 20, 9, 1], help="the tenants' parts of all chunks"
    )
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--cache", type=Path, default=Path("vectors"), help="keeps vectors between runs")
    parser.add_argument("--json", type=Path, default=Path("search_latency.json"))
    options = parser.parse_args()
    options.json.write_text(json.dumps(asyncio.run(measure(options)), indent=2))


if __name__ == "__main__":
    main()
