"""How fast search answers and how many of the nearest vectors it finds, in a store of its own."""

from collections.abc import Iterator

from deployments.bench.figures import Figure
from deployments.bench.ground import Ground
from deployments.bench.peers import SEARCH
from deployments.bench.scripts import figures_of
from deployments.bench.sections import Section

CHUNKS = 10_000
QUESTIONS = 100
NAMES = {"p50 ms": ("search p50", "ms"), "p95 ms": ("search p95", "ms"), "recall@10": ("recall@10", "")}


def measure(ground: Ground) -> Iterator[Figure]:
    yield from measure_at(CHUNKS)


def measure_at(chunks: int) -> Iterator[Figure]:
    """Search made-up chunks; recall is the share of the ten nearest that are among the proposed."""
    place = ("--chunks", str(chunks), "--shares", "1", "--questions", str(QUESTIONS))
    found = figures_of("search_latency", "--sets", *place, cache=True)[f"{chunks} chunks"]
    for key, (name, unit) in NAMES.items():
        yield Figure(f"{name}, {chunks:,} chunks", found[key], unit, peer=SEARCH)


section = Section("Latency and recall of search over 10,000 chunks.", measure, order=6)
