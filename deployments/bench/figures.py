"""What a benchmark yields: one figure a row, with its spread, the bar it has to meet and what others publish."""

import json
import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from deployments.bench.peers import Peer


class Figure(NamedTuple):
    """Hold the median of `runs` measurements, None where it is unknown, with the smallest and the largest of them."""

    name: str
    value: float | None
    unit: str
    bar: str = ""
    runs: int = 1
    least: float | None = None
    most: float | None = None
    peer: Peer | None = None

    def __str__(self) -> str:
        value = "unknown" if self.value is None else f"{self.value:,.1f}"
        spread = f"{self.least:,.1f} to {self.most:,.1f}, {self.runs} runs" if self.runs > 1 else ""
        row = f"{self.name:<38} {value:>9} {self.unit:<9} {self.bar:<7} {spread}".rstrip()
        return f"{row}\n    {self.peer.figure}: {self.peer.source}" if self.peer else row


def median(name: str, values: Sequence[float | None], unit: str, bar: str = "", peer: Peer | None = None) -> Figure:
    """Return the median of what was measured; measurements that failed are left out, not counted as nothing."""
    known = [value for value in values if value is not None]
    if not known:
        return Figure(name, None, unit, bar, 0, peer=peer)
    return Figure(name, statistics.median(known), unit, bar, len(known), min(known), max(known), peer)


def ninety_fifth(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def machine() -> dict[str, Any]:
    """Say what figures are taken on; on a loaded machine they mean little."""
    return {
        "cores": os.cpu_count(),
        "load": [round(load, 1) for load in os.getloadavg()],
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "at": datetime.now(UTC).isoformat(timespec="minutes"),
    }


def as_json(figures: Iterable[Figure], before: dict[str, Any]) -> str:
    """Return the rows with the machine as it was before and its load now."""
    rows = [figure._asdict() | {"peer": figure.peer and figure.peer._asdict()} for figure in figures]
    return json.dumps({"machine": before, "load_after": machine()["load"], "rows": rows}, indent=1) + "\n"
