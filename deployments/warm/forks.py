"""The worker's side of the fork server: start it, ask it for processes, replace it when it is worn."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import sys
from typing import Any

import psutil
from prefect.settings import get_current_settings

from deployments.warm.branches import Branch
from deployments.warm.preload import changed_at
from deployments.warm.protocol import ENDED, FORKED, READY, Job

START_SECONDS = 120.0
FORK_SECONDS = 20.0  # a thousand times what a fork takes
END_SECONDS = 5.0
GONE = -signal.SIGKILL


class CannotFork(RuntimeError):
    """Say why no process could be forked; the run then starts as a plain subprocess."""


class Fork:
    """One forked process, as Prefect's runner looks at processes."""

    def __init__(self) -> None:
        self.pid: int = 0
        self.returncode: int | None = None
        self.began: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.ended = asyncio.Event()

    def begin(self, pid: int) -> None:
        """Take note of the process; one that nobody waits for any more is ended, for nobody would watch it."""
        self.pid = pid
        if self.began.cancelled():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        else:
            self.began.set_result(pid)

    async def wait(self) -> int | None:
        await self.ended.wait()
        return self.returncode

    def end(self, status: int) -> None:
        self.returncode = status
        if not self.began.done():
            self.began.set_exception(CannotFork("The fork server ended before it forked."))
        self.ended.set()


class ForkServer:
    """One generation of the fork server and the processes that it forked."""

    def __init__(self, modules: tuple[str, ...], branch: Branch | None = None) -> None:
        self.modules, self.branch = modules, branch
        self.forks: dict[int, Fork] = {}
        self.forked = 0
        self.sources: dict[str, int] = {}
        self.alive = False
        self._numbers = itertools.count(1)

    async def start(self) -> None:
        """Start the process, unless there is one already, and wait until everything is imported."""
        self.process, line = (self.branch, self.branch.line) if self.branch else await self._begin()
        self._reader, self._writer = await asyncio.open_connection(sock=line, limit=1 << 24)
        try:
            ready = await asyncio.wait_for(self._hear(), START_SECONDS)
        except TimeoutError:
            ready = None
        if ready is None or ready["kind"] != READY or ready["threads"] != 1:
            await self.close()
            raise CannotFork(f"The fork server did not come up clean: {ready and ready.get('threads')} threads.")
        self.sources, self.alive = ready["sources"], True
        self._listening = asyncio.create_task(self._listen())

    async def _begin(self) -> tuple[asyncio.subprocess.Process, socket.socket]:
        ours, theirs = socket.socketpair()
        environment = {**os.environ, **get_current_settings().to_environment_variables(exclude_unset=True)}
        command = (sys.executable, "-m", "deployments.warm.fork_server", str(theirs.fileno()), *self.modules)
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *command, env=environment, pass_fds=[theirs.fileno()], start_new_session=True
            )
        return process, ours

    async def fork(self, job: Job) -> Fork:
        """Return a new process. Raises CannotFork; a server that does not answer is ended, lest it fork later."""
        fork, number = Fork(), next(self._numbers)
        self.forks[number] = fork
        self.forked += 1
        self._writer.write(json.dumps({"id": number, "job": job._asdict()}).encode() + b"\n")
        try:
            await asyncio.wait_for(fork.began, FORK_SECONDS)
        except TimeoutError:
            self.alive = False
            self.process.kill()
            raise CannotFork("The fork server did not answer.") from None
        return fork

    def worn(self, most_forks: int, most_megabytes: int) -> bool:
        if not self.alive or self.forked >= most_forks:
            return True
        try:
            return psutil.Process(self.process.pid).memory_info().rss > most_megabytes * 1_000_000
        except psutil.Error:
            return True

    def outdated(self) -> bool:
        """Return whether a source file has changed since it was imported."""
        return any(changed_at(file) != changed for file, changed in self.sources.items())

    async def retire(self) -> None:
        """Close once the last of its processes has ended: only the parent learns how they end."""
        for fork in tuple(self.forks.values()):
            await fork.wait()
        await self.close()

    async def close(self) -> None:
        """Close the line, upon which the server ends; what it forked and still runs ends with it."""
        self._writer.close()
        try:
            await asyncio.wait_for(self.process.wait(), END_SECONDS)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()

    async def _hear(self) -> dict[str, Any] | None:
        text = await self._reader.readline()
        return json.loads(text) if text else None

    async def _listen(self) -> None:
        with contextlib.suppress(ConnectionError):
            while (said := await self._hear()) is not None:
                if said["kind"] == FORKED:
                    self.forks[said["id"]].begin(said["pid"])
                elif said["kind"] == ENDED:
                    self.forks.pop(said["id"]).end(said["status"])
        self.alive = False
        for fork in self.forks.values():
            with contextlib.suppress(ProcessLookupError):
                if fork.pid:
                    os.killpg(fork.pid, signal.SIGKILL)
            fork.end(GONE)
        self.forks.clear()
