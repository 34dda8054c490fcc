"""How much memory the whole tree holds."""

from collections.abc import Iterator

from deployments.bench.figures import Figure
from deployments.bench.ground import Ground, Running
from deployments.bench.peers import MEMORY
from deployments.bench.sections import Section


def measure(ground: Ground) -> Iterator[Figure]:
    """Look after whatever other sections have done: a KowAI that has worked holds more than one that has not."""
    held = _resident_bytes(ground.running) / 1e9
    yield Figure("resident memory of the tree (PSS)", held, "GB", "<= 1.2", peer=MEMORY)


def _resident_bytes(running: Running) -> int:
    """Add up the memory of every process below `kowai up`; pages that processes share count once (PSS)."""
    return sum(process.memory_full_info().pss for process in running.tree())


section = Section("Memory of every process together.", measure, order=9)
