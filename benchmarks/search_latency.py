"""Measure how fast search answers and finds the nearest vectors, for tenants of several sizes in one store.

Run `KOWAI_DATA=... python -m benchmarks.search_latency --chunks 100000`: chunks are made of real ones, a vector between
two real vectors, the words of one text with a third of them drawn from all texts and two that hardly any other holds.
Questions are real ones. Recall compares the ten nearest chunks with an exact search. With `--store FOLDER` the filled
store stays there: the next run with the same options only measures, and `--fill` only fills.
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

from benchmarks.search_ground import SPACE, Source, Vectors, embed, open_store, read_collection
from benchmarks.search_store import CHUNKS_A_DOCUMENT, Made, load
from blocks.database import Database
from deployments.bench.ground import generated_texts
from kowai.filters import Filters
from kowai.indexing import embedded_text
from kowai.types import Chunk
from tasks.search_sql import propose, search

CHUNKS_A_TEXT = 50  # of more, made of one text, the nearest are hardly nearer than the next: no search tells them apart
NEAREST = text(
    "select chunk_id from (select chunk_id, embedding <=> cast(:vector as halfvec) as distance from chunk_vector"
    " offset 0) as measured order by distance limit 10"
)
TENANTS = "select id, (select count(*) from chunk where tenant_id = tenant.id) from tenant order by 2 desc"


class Material(NamedTuple):
    """Hold real texts as words, the vector of each, and every word as often as it occurs."""

    texts: list[list[str]]
    vectors: Vectors
    words: list[str]


def gather(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the texts that chunks are made of, and questions."""
    collections = [read_collection(name) for name in names]
    texts = [
        embedded_text(source.title, chunk)
        for collection in collections
        for source in collection.sources
        for chunk in source.chunks()
    ]
    return texts, [question for collection in collections for question in collection.questions.values()]


def generated(count: int) -> tuple[list[str], list[str]]:
    """Return the same for `count` chunks, made up of the samples' words, for who has no collections."""
    texts = list(generated_texts(count // CHUNKS_A_TEXT))
    return texts, [f"What is said about {text.split('. ')[0].lower()}?" for text in texts]


def understood(texts: Sequence[str], cache: Path) -> Material:
    words = [text.split() for text in texts]
    return Material(words, embed(texts, cache), [word for own in words for word in own])


def invent(material: Material, count: int) -> Iterator[Made]:
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


def fill(
    owner: psycopg.Connection, tenants: Sequence[UUID], shares: Sequence[int], material: Material, count: int
) -> None:
    """Write chunks for all tenants in turn, who need not be known yet."""
    owners = random.Random(1).choices(tenants, shares, k=count // CHUNKS_A_DOCUMENT)
    load(owner, invent(material, count), owners)


def enter(owner: psycopg.Connection, tenants: Sequence[UUID]) -> None:
    for tenant in tenants:
        owner.execute("insert into tenant (id, name, suspended) values (%s, %s, false)", (tenant, str(tenant)))


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
    texts, questions = gather(options.sets) if options.sets else generated(options.chunks)
    asked = random.Random(2).sample(questions, options.questions)
    vectors, results = embed(asked, options.cache), dict[str, object]()
    async with open_store(options.store) as (store, owner_url):
        with psycopg.connect(owner_url, autocommit=True) as owner:
            if not (known := owner.execute(TENANTS).fetchall()):
                tenants = [uuid4() for _ in options.shares]
                fill(owner, tenants, options.shares, understood(texts, options.cache), options.chunks)
                enter(owner, tenants)  # last of all: a store that knows tenants is whole
                known = owner.execute(TENANTS).fetchall()
        for tenant, count in [] if options.fill else known:
            results[f"{count} chunks"] = row = await ask(store, tenant, asked, vectors)
            print(f"{count:>9,} chunks  {row}", flush=True)
    return results


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
    parser.add_argument("--store", type=Path, help="the folder that keeps the filled store between runs")
    parser.add_argument("--fill", action="store_true", help="fill the store and measure nothing")
    parser.add_argument("--json", type=Path, default=Path("search_latency.json"))
    options = parser.parse_args()
    options.json.write_text(json.dumps(asyncio.run(measure(options)), indent=2))


if __name__ == "__main__":
    main()
