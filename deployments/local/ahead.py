"""The supervisor's side of the forerunner: which processes it forks, and when it can."""

import ctypes
import json
import socket
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from deployments.local import environment
from deployments.local.forked import Forked
from deployments.local.layout import Layout
from deployments.local.processes import Child, execute, opened
from kowai.settings import Settings

ADOPT = 36  # PR_SET_CHILD_SUBREAPER of Linux's prctl: a child whose parent ends becomes a child of this process
GROUPS = (0, 1)
RIPE, END = b".", b"\n"


class Ahead:
    """Hold the line to a forerunner and what is still to be forked; without a line there is none."""

    def __init__(self, line: socket.socket | None = None, children: Sequence[Child] = ()) -> None:
        self.line = line
        self.left = {child.name: child.shares for child in children if child.shares is not None}
        self.imported = 0

    @property
    def is_gone(self) -> bool:
        return self.line is None

    def is_ready(self, child: Child) -> bool:
        """Return whether the child need not wait: what it shares has been imported, or never will be."""
        group = self.left.get(child.name)
        if group is None:
            return True
        self._hear(socket.MSG_DONTWAIT)
        return self.is_gone or self.imported > group

    def fork(self, child: Child, log: Path) -> Forked | None:
        """Return the child as a fork; None where it has to be started by itself, as it has when it starts again."""
        if self.left.pop(child.name, None) is None or self.line is None:
            return None
        asked = (child.name, child.command[2:], dict(child.environment()), str(log))
        adopt(wanted=True)
        try:
            self.line.sendall(json.dumps(asked).encode() + END)
            told = b""
            while END not in told and not self.is_gone:
                told += self._hear()
        except OSError:
            self.line, told = None, b""
        finally:
            adopt(wanted=False)
        pid = told.partition(END)[0]
        return Forked(int(pid)) if pid else None

    def _hear(self, flags: int = 0) -> bytes:
        """Return what is said beside that one more group has been imported."""
        said = b""
        try:
            said = self.line.recv(4096, flags) if self.line else b""
        except BlockingIOError:
            return b""
        except OSError:
            self.line = None
        if not said:
            self.line = None
        self.imported += said.count(RIPE)
        return said.replace(RIPE, b"")


@contextmanager
def forerunner(place: Layout, settings: Settings, children: Sequence[Child]) -> Generator[Ahead]:
    """Run a forerunner for the children beside the block, where this process can adopt what it forks."""
    if not adopt(wanted=False):
        yield Ahead()
        return
    ours, theirs = socket.socketpair()
    counts = [str(sum(child.shares == group for child in children)) for group in GROUPS]
    command = (sys.executable, "-m", "deployments.local.forerunner", str(theirs.fileno()), *counts)
    child = Child("forerunner", command, partial(environment.shared, place, settings))
    with ours, theirs, opened(place.log(child.name)) as output:
        process = execute(child, output, place.root, theirs.fileno())
        theirs.close()
        ahead = Ahead(ours, children)
        try:
            yield ahead
        finally:
            ahead.line = None
            process.kill()
            process.wait()


def adopt(*, wanted: bool) -> bool:
    """Say whether this process takes in its orphaned descendants; return False where it cannot."""
    return sys.platform == "linux" and ctypes.CDLL(None).prctl(ADOPT, int(wanted)) == 0
