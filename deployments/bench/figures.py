"""What a benchmark yields: one figure a row, with its spread and the bar it has to meet."""

import json
import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Figure(NamedTuple):
    """Hold the median of `runs` measurements, None where it is unknown, with the smallest and the largest of them."""

    name: str
    value: float | None
    unit: str
    bar: str = ""
    runs: int = 1
    least: float | None = None
    most: float | None = None

    def __str__(self) -> str:
        value = "unknown" if self.value is None else f"{self.value:,.1f}"
        spread = f"{self.least:,.1f} to {self.most:,.1f}, {self.runs} runs" if self.runs > 1 else ""
        return f"{self.name:<38} {value:>9} {self.unit:<9} {self.bar:<7} {spread}".rstrip()


def median(name: str, values: Sequence[float | None], unit: str, bar: str = "") -> Figure:
    """Return the median of what was measured; measurements that failed are left out, not counted as nothing."""
    known = [value for value in values if value is not None]
    if not known:
        return Figure(name, None, unit, bar, 0)
    return Figure(name, statistics.median(known), unit, bar, len(known), min(known), max(known))


def ninety_fifth(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def as_json(figures: Iterable[Figure]) -> str:
    return json.dumps([figure._asdict() for figure in figures], indent=1)
