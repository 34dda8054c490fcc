"""A process that this one has forked itself, as asyncio shows those that it has started."""

import asyncio
import contextlib
import os
import signal
import socket

LOOK_SECONDS = 0.02


class Branch:
    """Hold the process and our end of the line to it."""

    def __init__(self, pid: int, line: socket.socket) -> None:
        self.pid, self.line = pid, line
        self.returncode: int | None = None

    def kill(self) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    async def wait(self) -> int:
        while self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)  # noqa: ASYNC222 -- it does not wait
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
            else:
                await asyncio.sleep(LOOK_SECONDS)
        return self.returncode
