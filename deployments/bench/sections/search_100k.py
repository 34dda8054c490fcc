"""The same search over a hundred thousand chunks, whose writing takes minutes."""

from collections.abc import Iterator

from deployments.bench.figures import Figure
from deployments.bench.ground import Ground
from deployments.bench.sections import Section
from deployments.bench.sections.search import measure_at


def measure(ground: Ground) -> Iterator[Figure]:
    yield from measure_at(100_000)


section = Section("Latency and recall of search over 100,000 chunks; takes minutes.", measure, order=7, unasked=False)
