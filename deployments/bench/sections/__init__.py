"""One file for each section of the benchmark; its name with hyphens is what `--only` calls it."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from deployments.bench.figures import Figure
from deployments.bench.ground import Ground
from kowai.registry import discover


class Section(NamedTuple):
    """Measure one thing; sections are run by `order`, and only when named if not `unasked`."""

    summary: str
    measure: Callable[[Ground], Iterator[Figure]]
    order: int
    unasked: bool = True


def sections() -> dict[str, Section]:
    """Return every section by its name, in the order in which they are run."""
    found = discover(__name__, Section)
    return {name.replace("_", "-"): found[name] for name in sorted(found, key=lambda name: found[name].order)}
