"""One child through its life: waiting, starting, ready, restarting, failing, done, stopped."""

import contextlib
import subprocess
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import psutil

from deployments.local.forked import Forked
from deployments.local.layout import Layout
from deployments.local.processes import Child, Fork, cause_of_death, no_fork, start
from deployments.local.record import ProcessRecord, birth
from deployments.local.stopping import stop_process

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
WINDOW_SECONDS = 120.0
DEATHS_IN_WINDOW = 3

State = Literal["waiting", "starting", "ready", "restarting", "failing", "done", "stopped"]


class Member:
    """Hold what is known about one child: times are those of time.monotonic()."""

    def __init__(self, child: Child, place: Layout) -> None:
        self.child, self.place, self.log = child, place, place.log(child.name)
        self.state: State = "waiting"
        self.restarts, self.sentence = 0, ""
        self.begun: dict[Path, int] = {}
        self.popen: subprocess.Popen[bytes] | Forked | None = None
        self.born = self.began = self.due = 0.0
        self.deaths: deque[float] = deque(maxlen=DEATHS_IN_WINDOW)

    @property
    def is_up(self) -> bool:
        return self.state in ("ready", "done")

    @property
    def logs(self) -> list[Path]:
        """Return where it says something, the most telling place first."""
        return [log for log in (self.child.lines, self.log) if log is not None]

    def start(self, fork: Fork = no_fork) -> None:
        self.restarts += self.state != "waiting"
        self.begun = {log: log.stat().st_size for log in self.logs if log.exists()}
        self.popen, self.begun[self.log] = start(self.child, self.log, self.place.root, fork)
        self.born, self.began, self.state = birth(self.popen.pid), time.monotonic(), "starting"

    def exit_code(self) -> int | None:
        """Return the exit code of a process that was started and has ended."""
        return self.popen.poll() if self.popen and self.state in ("starting", "ready") else None

    def is_ready(self) -> bool:
        return self.popen is not None and not self.child.once and self.child.is_ready(self.popen.pid)

    def bury(self, code: int) -> None:
        """Note a death and its cause, as far as the log tells."""
        ended = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        causes = ((log, cause_of_death(log, self.begun.get(log, 0))) for log in self.logs)
        log, cause = next(((log, cause) for log, cause in causes if cause), (self.log, "it said nothing"))
        self.postpone(f"{self.child.name} {ended}: {cause} (log: {log})")

    def postpone(self, sentence: str) -> None:
        """Note what went wrong and when to try again: soon at first, then ever more slowly."""
        now = time.monotonic()
        self.deaths.append(now)
        recent = sum(now - death < WINDOW_SECONDS for death in self.deaths)
        self.state = "failing" if recent >= DEATHS_IN_WINDOW or self.child.once else "restarting"
        self.due = now + (LONGEST_PAUSE_SECONDS if self.state == "failing" else FIRST_PAUSE_SECONDS * 2 ** (recent - 1))
        self.sentence = sentence

    def stop(self, hurry: Callable[[], bool]) -> None:
        """Stop the process and all it started, within a bound."""
        self.state = "stopped"
        if self.popen is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess, subprocess.TimeoutExpired):
            stop_process(psutil.Process(self.popen.pid), self.child.stop_signal, hurry=hurry)
            self.popen.wait(1)

    @property
    def runs(self) -> bool:
        return self.popen is not None and self.popen.poll() is None

    def record(self) -> ProcessRecord | None:
        """Return what to write down about the process; nothing about one that never ran or is done."""
        if self.popen is None or self.state in ("done", "stopped"):
            return None
        kept = {"state": self.state, "restarts": self.restarts, "sentence": self.sentence or None}
        known = {"url": self.child.url, "port": self.child.port, "stop_signal": self.child.stop_signal}
        return ProcessRecord(self.child.name, self.popen.pid, self.born, **kept, **known)  # pyright: ignore[reportArgumentType]
