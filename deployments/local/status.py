"""What runs at this moment, process by process."""

from contextlib import suppress
from typing import NamedTuple

import psutil

from deployments.local import environment, probes
from deployments.local.layout import Layout
from deployments.local.lock import is_held
from deployments.local.record import ProcessRecord, StackRecord, find_process, read_record
from deployments.local.stopping import descendants
from kowai.settings import Settings


class Line(NamedTuple):
    """Describe one process; `memory` is its bytes and those of its descendants, None when it does not run."""

    name: str
    state: str
    pid: int | None
    port: int | None
    memory: int | None
    url: str | None
    sentence: str | None

    @property
    def is_fine(self) -> bool:
        return self.state == "ready"


def status(place: Layout, settings: Settings) -> list[Line]:
    """Return a line for the supervisor and for each of its processes; none when KowAI does not run."""
    record = read_record(place.record)
    if record is None or not is_held(place.lock):
        return []
    return [supervisor_line(record), *(line(process, place, settings) for process in record.processes)]


def absence(place: Layout) -> str:
    """Say that nothing runs, and how the last run ended if that was not as it should."""
    record = read_record(place.record)
    ends = {"failed": f"the last start failed: {record and record.sentence}", "stopped": "the last run was stopped"}
    last = ends.get(record.phase, "the last run was killed") if record else "it has never run there"
    return f"KowAI is not running on {place.root} ({last}). Start it with `kowai up`."


def supervisor_line(record: StackRecord) -> Line:
    process = find_process(record.pid, record.born)
    memory = own_bytes(process) if process else None
    return Line("kowai", record.phase, record.pid, None, memory, None, record.sentence)


def line(record: ProcessRecord, place: Layout, settings: Settings) -> Line:
    """Look at one process: whether it lives and, where it answers HTTP, whether it does."""
    process = find_process(record.pid, record.born)
    state = record.state if process or record.state in ("restarting", "failing") else "gone"
    if (
        state == "ready"
        and record.url
        and not probes.answers(*door(record, place, settings), trusted=place.certificate)
    ):
        state = "not answering"
    memory = resident_bytes(process) if process else None
    pid = record.pid if process else None
    restarted = f"restarted {record.restarts} times" if record.restarts else None
    return Line(record.name, state, pid, record.port, memory, record.url, record.sentence or restarted)


def door(record: ProcessRecord, place: Layout, settings: Settings) -> tuple[str, dict[str, str]]:
    """Return the address that shows whether the process answers, and the headers it wants."""
    if record.name == "prefect":
        return f"{record.url}/api/health", environment.prefect_headers(place, settings)
    return f"{record.url}/ready", {}


def resident_bytes(process: psutil.Process) -> int:
    """Add up the memory of a process and its descendants."""
    return sum(map(own_bytes, (process, *descendants(process))))


def own_bytes(process: psutil.Process) -> int:
    """Return the resident memory of a process, pages that it shares by its share where the system tells (PSS)."""
    with suppress(psutil.NoSuchProcess):
        with suppress(psutil.AccessDenied):
            return process.memory_full_info().pss if psutil.LINUX else process.memory_info().rss
        return process.memory_info().rss
    return 0
