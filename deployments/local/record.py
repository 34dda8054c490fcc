"""What runs, written down: `kowai status`, the guardian and the next `kowai up` read it."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import psutil

Phase = Literal["starting", "ready", "stopping", "stopped", "failed"]
CLOCK_SLACK_SECONDS = 3.0


@dataclass
class ProcessRecord:
    """Identify one process for good: a pid is used again, a pid with its birth (Unix seconds) is not."""

    name: str
    pid: int
    born: float
    state: str = "starting"
    port: int | None = None
    url: str | None = None
    restarts: int = 0
    stop_signal: int = 15
    sentence: str | None = None


@dataclass
class StackRecord:
    """Hold the supervisor, its phase and its processes in the order they depend on each other."""

    pid: int
    born: float
    phase: Phase = "starting"
    version: str = ""
    url: str = ""
    sentence: str | None = None
    processes: list[ProcessRecord] = field(default_factory=list[ProcessRecord])


def read_record(path: Path) -> StackRecord | None:
    """Return what was written last, None when nothing was or it cannot be understood."""
    try:
        fields: dict[str, Any] = json.loads(path.read_text())
        processes = [ProcessRecord(**process) for process in fields.pop("processes")]
        return StackRecord(**fields, processes=processes)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_record(path: Path, record: StackRecord) -> None:
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(asdict(record), indent=1))
    draft.replace(path)


def birth(pid: int) -> float:
    """Return when the process started, in Unix seconds; 0 when it is gone already."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return 0.0


def find_process(pid: int, born: float) -> psutil.Process | None:
    """Return the very process that was recorded, None when it has ended, however its pid is used now."""
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - born) <= CLOCK_SLACK_SECONDS
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def own_record() -> StackRecord:
    return StackRecord(pid=os.getpid(), born=birth(os.getpid()))
