"""One child process: how it is started, where it writes, when it counts as ready."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

from deployments.local.forked import Forked

LARGEST_LOG_BYTES = 20_000_000
LAST_WORDS_BYTES = 64_000
ERROR = re.compile(r"\b(\w*error|fatal|panic)\b", re.IGNORECASE)


class Child(NamedTuple):
    """Describe a process of the stack; `once` means that it is done when it has ended well.

    `lines` is where it writes what it has to say once it runs, if that is not its output; `shares` is the forerunner's
    group of modules that it has in common with others.
    """

    name: str
    command: tuple[str, ...]
    environment: Callable[[], Mapping[str, str]]
    is_ready: Callable[[int], bool] = lambda _: True
    after: tuple[str, ...] = ()
    once: bool = False
    url: str | None = None
    port: int | None = None
    user: str | None = None
    stop_signal: int = signal.SIGTERM
    prepare: Callable[[], None] = lambda: None
    lines: Path | None = None
    shares: int | None = None


Fork = Callable[[Child, Path], Forked | None]


def no_fork(_child: Child, _log: Path) -> None:
    """Fork nothing."""


def start(child: Child, log: Path, folder: Path, fork: Fork = no_fork) -> tuple[subprocess.Popen[bytes] | Forked, int]:
    """Start the child in a session of its own, out of Ctrl-C's reach; return it and where its log begins, in bytes."""
    child.prepare()
    with opened(log) as output:
        return fork(child, log) or execute(child, output, folder), output.tell()


def opened(log: Path) -> BinaryIO:
    trim(log)
    return os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def execute(child: Child, output: BinaryIO, folder: Path, *descriptors: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603
        child.command,
        env=dict(child.environment()),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        umask=0o077,
        user=child.user,
        group=child.user,
        extra_groups=[] if child.user else None,
        pass_fds=descriptors,
    )


def trim(log: Path) -> None:
    """Move a log that has grown past its bound to NAME.log.1; a running process goes on writing to an empty one."""
    if log.exists() and log.stat().st_size > LARGEST_LOG_BYTES:
        shutil.copyfile(log, log.with_name(f"{log.name}.1"))
        os.truncate(log, 0)


def cause_of_death(log: Path, begin: int) -> str:
    """Return the last line from byte `begin` on that speaks of an error, or else the last line at all."""
    try:
        with log.open("rb") as file:
            file.seek(max(begin, log.stat().st_size - LAST_WORDS_BYTES) if begin <= log.stat().st_size else 0)
            told = file.read().decode(errors="replace").splitlines()
            lines = [line.strip() for each in told for line in _words(each) if line.strip()]
    except OSError:
        return ""
    errors = [line for line in lines if ERROR.search(line)]
    return (errors or lines or [""])[-1]


def _words(line: str) -> list[str]:
    """Return what a line says; of an event in JSON its sentence and traceback, or PostgreSQL's level and message."""
    try:
        told = json.loads(line)
        if "error_severity" in told:
            return [f"{told['error_severity']}: {told['message']}"]
        return [told["event"], *str(told.get("exception", "")).splitlines()]
    except (ValueError, TypeError, KeyError):
        return [line]
