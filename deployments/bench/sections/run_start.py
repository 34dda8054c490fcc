"""How fast a deployment's run starts on the warm worker, beside Prefect's own process worker in the same run."""

from collections.abc import Iterator

from deployments.bench.figures import Figure, median
from deployments.bench.ground import Ground
from deployments.bench.peers import RUN_P50, RUN_P95, RUN_RATE
from deployments.bench.scripts import figures_of
from deployments.bench.sections import Section

QUEUED, QUEUED_STOCK = "100", "15"  # the stock worker's rate is steady, and slow
BARS = {"warm": ("<= 0.6", "<= 1.2", "<= 80"), "stock": ("", "", "")}


def measure(ground: Ground) -> Iterator[Figure]:
    arguments = ("--runs", str(max(5, ground.runs)), "--queued", QUEUED, "--queued-stock", QUEUED_STOCK)
    found = figures_of("run_start", *arguments)
    for kind, (p50, p95, memory) in BARS.items():
        got = found[kind]
        yield median(f"created to first task, {kind}, p50", got["first_task_all"], "s", p50, RUN_P50)
        yield Figure(f"created to first task, {kind}, p95", got["first_task_p95"], "s", p95, peer=RUN_P95)
        yield Figure(f"queued light runs, {kind}", got["runs_per_minute"] / 60, "1/s", peer=RUN_RATE)
        yield Figure(f"each further concurrent run, {kind}", got["megabytes_per_extra_run"], "MB", memory)
    gain = found["warm"]["runs_per_minute"] / found["stock"]["runs_per_minute"]
    yield Figure("queued light runs, warm / stock", gain, "x", ">= 5")


section = Section("The warm worker beside Prefect's own; takes minutes.", measure, order=5)
