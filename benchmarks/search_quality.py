"""Measure how well search ranks: nDCG@10 of each half, of their usual fusions and of KowAI, through the real store.

Run `KOWAI_DATA=... python -m benchmarks.search_quality`: every collection becomes a tenant of an embedded PostgreSQL.
A document counts by its first passage; KowAI's list is its first ten passages, repeated documents included, the other
lists are of ten documents. p is the share of bootstrap samples of the questions on which KowAI is not better.
"""

import argparse
import asyncio
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import psycopg
from numpy.typing import NDArray

from benchmarks.search_ground import SPACE, Collection, embed, open_store, read_collection, write
from blocks.database import Database
from kowai.filters import Filters
from kowai.ranking import Candidate, rank
from tasks.search_sql import propose

DEPTH, POOL = 10, 100
Scores = dict[str, NDArray[np.float64]]
Ranker = Callable[[Sequence[Candidate]], list[str]]


def ndcg(found: Sequence[str], relevant: dict[str, int]) -> float:
    """Return nDCG@10; a document that comes again gains nothing."""
    seen: set[str] = set()
    gained = 0.0
    for place, name in enumerate(found[:DEPTH]):
        gained += relevant.get(name, 0) / np.log2(place + 2) if name not in seen else 0.0
        seen.add(name)
    ideal = sorted(relevant.values(), reverse=True)[:DEPTH]
    return gained / sum(gain / np.log2(place + 2) for place, gain in enumerate(ideal))


def _dense(candidate: Candidate) -> float:
    return candidate.dense or 0.0


def _lexical(candidate: Candidate) -> float:
    return candidate.lexical


def _documents(candidates: Sequence[Candidate], value: Callable[[Candidate], float]) -> list[str]:
    ranked = sorted(candidates, key=value, reverse=True)
    return list(dict.fromkeys(candidate.external_id for candidate in ranked))


def _lists(candidates: Sequence[Candidate]) -> list[dict[int, float]]:
    """Return what each half scores the candidates it would list itself, best first."""
    lists = [sorted(((half(p), p.chunk_id) for p in candidates), reverse=True)[:POOL] for half in (_dense, _lexical)]
    return [{chunk_id: score for score, chunk_id in ranked if score > 0} for ranked in lists]


def by_rrf(candidates: Sequence[Candidate]) -> list[str]:
    """Fuse by reciprocal ranks, k = 60."""
    places = [{chunk_id: place for place, chunk_id in enumerate(ranked, 1)} for ranked in _lists(candidates)]
    return _documents(candidates, lambda p: sum(1 / (60 + own[p.chunk_id]) for own in places if p.chunk_id in own))


def by_min_max(candidates: Sequence[Candidate]) -> list[str]:
    """Fuse by the equally weighted sum of both scores, each stretched to [0, 1] over its own list."""
    lists = [(ranked, min(ranked.values()), max(ranked.values())) for ranked in _lists(candidates) if ranked]
    return _documents(
        candidates,
        lambda p: sum((own[p.chunk_id] - low) / ((high - low) or 1) for own, low, high in lists if p.chunk_id in own),
    )


RANKERS: dict[str, Ranker] = {
    "dense": lambda candidates: _documents(candidates, _dense),
    "bm25": lambda candidates: _documents(candidates, _lexical),
    "rrf": by_rrf,
    "min-max": by_min_max,
}


async def judge(store: Database, tenant: UUID, collection: Collection, asked: Sequence[str], cache: Path) -> Scores:
    """Return the nDCG@10 of every way for every question asked."""
    vectors = embed([collection.questions[query] for query in asked], cache)
    scores: dict[str, list[float]] = {name: [] for name in (*RANKERS, "kowai")}
    for query, vector in zip(asked, vectors, strict=True):
        relevant, question = collection.relevant[query], collection.questions[query]
        async with store.transaction(tenant) as connection:
            found = await propose(connection, question, vector, space=SPACE.model, filters=Filters())
        assert found is not None
        for name, ranker in RANKERS.items():
            scores[name].append(ndcg(ranker(found.candidates), relevant))
        listed = [candidate.external_id for candidate, _ in rank(*found, DEPTH)]
        scores["kowai"].append(ndcg(listed, relevant))
    return {name: np.array(values) for name, values in scores.items()}


def not_better(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    """Return the share of 5,000 paired bootstrap samples on which ours gains nothing."""
    random_rows = np.random.default_rng(0).integers(0, len(ours), (5000, len(ours)))
    return float(((ours - theirs)[random_rows].mean(axis=1) <= 0).mean())


async def measure(names: Sequence[str], limit: int, cache: Path) -> dict[str, dict[str, dict[str, float]]]:
    results: dict[str, dict[str, dict[str, float]]] = {}
    async with open_store() as (store, owner_url):
        for name in names:
            collection, tenant = read_collection(name), uuid4()
            with psycopg.connect(owner_url) as owner:
                owner.execute("insert into tenant (id, name, suspended) values (%s, %s, false)", (tenant, name))
            chunks = await write(store, tenant, collection.sources, cache)
            asked = random.Random(0).sample(sorted(collection.relevant), min(limit, len(collection.relevant)))
            scores = await judge(store, tenant, collection, asked, cache)
            results[name] = {
                way: {"ndcg@10": round(float(values.mean()), 4), "p": not_better(scores["kowai"], values)}
                for way, values in scores.items()
            }
            _print(name, chunks, len(asked), results[name])
    return results


def _print(name: str, chunks: int, asked: int, ways: dict[str, dict[str, float]]) -> None:
    print(f"{name}: {chunks:,} chunks, {asked:,} questions")
    for way, result in ways.items():
        beaten = "" if way == "kowai" else f"   p = {result['p']:.4f}"
        print(f"  {way:8} {result['ndcg@10']:.4f}{beaten}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure nDCG@10 of search through the real store.")
    parser.add_argument("--sets", nargs="+", default=["squad_v1.1", "squad_v2.0", "scifact"])
    parser.add_argument("--questions", type=int, default=2000, help="the most questions asked of a collection")
    parser.add_argument(
        "--cache", type=Path, default=Path("vectors"), help="the folder that keeps vectors between runs"
    )
    parser.add_argument("--json", type=Path, default=Path("search_quality.json"))
    options = parser.parse_args()
    results = asyncio.run(measure(options.sets, options.questions, options.cache))
    options.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
