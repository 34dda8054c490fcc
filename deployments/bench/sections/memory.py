"""How much memory the whole tree holds."""

from collections.abc import Iterator

import psutil

from deployments.bench.figures import Figure
from deployments.bench.ground import Ground, Running
from deployments.bench.peers import MEMORY
from deployments.bench.sections import Section
from deployments.local.record import read_record


def measure(ground: Ground) -> Iterator[Figure]:
    """Look after whatever other sections have done: a KowAI that has worked holds more than one that has not."""
    held = _resident_bytes(ground.running) / 1e9
    yield Figure("resident memory of the tree (PSS)", held, "GB", "<= 1.2", peer=MEMORY)


def _resident_bytes(running: Running) -> int:
    """Add up the memory of every process below `kowai up`; pages that processes share count once (PSS)."""
    record = read_record(running.state / "run" / "state.json")
    pids = [running.process.pid, *(process.pid for process in (record.processes if record else []))]
    roots = [psutil.Process(pid) for pid in pids]
    tree = {process.pid: process for root in roots for process in [root, *root.children(recursive=True)]}
    return sum(process.memory_full_info().pss for process in tree.values())


section = Section("Memory of every process together.", measure, order=9)
