"""The process every warm run is forked from: one thread, everything imported, nothing open but its line to the worker.

Not multiprocessing's: that one is a singleton which cannot be replaced while its children live, imports the worker's
main module again in each of them, and reports no end once it has stopped.
"""

import gc
import json
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from typing import Any, NoReturn

from deployments.warm import preload
from deployments.warm.branches import Branch
from deployments.warm.child import become
from deployments.warm.protocol import ENDED, FORKED, READY, Job


class ForkServer:
    """Fork one process per line that comes in; say when each began and how it ended."""

    def __init__(self, line: socket.socket) -> None:
        self.line = line
        self.children: dict[int, int] = {}
        self.woken, waker = socket.socketpair()
        for end in (self.woken, waker):
            end.setblocking(False)
        self.waker = waker
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, note)

    def serve(self) -> None:
        """Work until the worker closes the line; what still runs then has lost its supervisor and is ended."""
        threads = threading.active_count()
        self.say(kind=READY, threads=threads, sources=preload.sources())
        waiting = b""
        while True:
            ready = select.select([self.line, self.woken], [], [])[0]
            if self.woken in ready:
                self.woken.recv(4096)
                self.reap()
            if self.line in ready:
                received = self.line.recv(1 << 20)
                if not received:
                    return self.end_all()
                *lines, waiting = (waiting + received).split(b"\n")
                for text in lines:
                    self.fork(json.loads(text))

    def fork(self, request: dict[str, Any]) -> None:
        pid = os.fork()
        if pid == 0:
            self.leave(Job(**request["job"]))
        self.children[pid] = request["id"]
        self.say(kind=FORKED, id=request["id"], pid=pid)

    def leave(self, job: Job) -> NoReturn:
        """Turn the forked process into the run: no line, no signal handling of the server's."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for end in (self.line, self.woken, self.waker):
            end.close()
        become(job)

    def reap(self) -> None:
        while self.children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self.say(kind=ENDED, id=self.children.pop(pid), status=os.waitstatus_to_exitcode(status))

    def end_all(self) -> None:
        for pid in self.children:
            for kill in (os.killpg, os.kill):  # a child forked a moment ago leads no group yet
                try:
                    kill(pid, signal.SIGKILL)
                    break
                except ProcessLookupError:
                    continue

    def say(self, **message: Any) -> None:
        self.line.sendall(json.dumps(message).encode() + b"\n")


def note(number: int, frame: object) -> None:
    """Take notice of a signal, so that the wake-up descriptor is written to."""


def branch(modules: Sequence[str]) -> Branch:
    """Import everything here and fork a fork server, which shares it; only a process of one thread may."""
    prepare(modules)
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid:
        theirs.close()
        return Branch(pid, ours)
    code = 1
    try:
        ours.close()
        os.setsid()
        code = serve(theirs)
    finally:
        os._exit(code)


def prepare(modules: Sequence[str]) -> None:
    preload.preload(modules)
    gc.collect()
    gc.freeze()  # the collector would write into every inherited page and so copy it


def serve(line: socket.socket) -> int:
    """Return the exit code: 1 if the worker went while it was spoken to."""
    try:
        ForkServer(line).serve()
    except (BrokenPipeError, ConnectionResetError):
        return 1
    return 0


if __name__ == "__main__":
    prepare(sys.argv[2:])
    sys.exit(serve(socket.socket(fileno=int(sys.argv[1]))))
