"""The benchmark: each section in its order, each figure as soon as it is known."""

from collections.abc import Collection, Iterator

from deployments.bench.figures import Figure
from deployments.bench.ground import Ground
from deployments.bench.sections import Section, sections
from kowai.errors import InvalidInput


def chosen(only: str) -> list[Section]:
    """Return the sections that a list like 'start,chat' names, or those that are measured unasked."""
    known = sections()
    names = [name.strip() for name in only.split(",") if name.strip()]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InvalidInput(f"There is no section '{unknown[0]}'; choose among {', '.join(known)}.")
    wanted = [section for name, section in known.items() if (name in names if names else section.unasked)]
    return sorted(wanted, key=lambda section: section.order)


def measure(wanted: Collection[Section], *, documents: int, runs: int) -> Iterator[Figure]:
    """Yield the figures of some sections; all happens in a directory that is thrown away."""
    with Ground(documents, runs) as ground:
        for section in wanted:
            yield from section.measure(ground)
