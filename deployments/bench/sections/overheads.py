"""What row-level security adds to a search and the ledger to a model call; both sides take turns."""

from collections.abc import Iterator

from deployments.bench.figures import Figure, median
from deployments.bench.ground import Ground
from deployments.bench.peers import LEDGER
from deployments.bench.scripts import figures_of
from deployments.bench.sections import Section

ROWS = {
    "search": ("row-level security, added to a search", None),
    "model call": ("ledger, added to a model call", LEDGER),
}


def measure(ground: Ground) -> Iterator[Figure]:
    arguments = ("--chunks", str(ground.documents), "--rounds", str(max(5, ground.runs)))
    found = figures_of("overheads", *arguments)["rows"]
    for key, (name, peer) in ROWS.items():
        yield median(name, found[key]["overhead"], "ms", peer=peer)


section = Section("What row-level security and the ledger cost.", measure, order=8)
