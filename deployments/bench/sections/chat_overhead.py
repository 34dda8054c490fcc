"""What chat costs beyond a plain handler over the same search and model, both in the same run."""

from collections.abc import Iterator

from deployments.bench.figures import Figure
from deployments.bench.ground import Ground
from deployments.bench.scripts import figures_of
from deployments.bench.sections import Section

NAMES = {
    "overhead p50": ("chat over a plain handler, p50, 10 at once", "ms"),
    "overhead p95": ("chat over a plain handler, p95, 10 at once", "ms"),
    "rate": ("answers with a model that costs no time, 10 at once", "1/s"),
    "first token": ("first streamed token", "ms"),
}


def measure(ground: Ground) -> Iterator[Figure]:
    rounds = max(5, ground.runs)
    found = figures_of("chat", "--chunks", str(ground.documents), "--rounds", str(rounds))["rows"]
    for key, (name, unit) in NAMES.items():
        if row := found.get(key):
            bar = row["bar"].removesuffix(f" {unit}")
            yield Figure(name, row["median"], unit, bar, rounds, row["least"], row["most"])


section = Section("Chat beside a plain FastAPI handler without Prefect.", measure, order=4)
