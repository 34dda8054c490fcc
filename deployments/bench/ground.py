"""What the sections of the benchmark stand on: a KowAI of their own, in a directory that is thrown away."""

import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import httpx
import psutil

from deployments.commands.api import Api
from deployments.commands.collecting import ingest_all
from deployments.local.environment import CODE
from deployments.local.ports import free_port
from deployments.local.record import read_record
from kowai.errors import CannotStart

SEED = 20261121
WARMING = 8  # documents indexed, and embedded, before the clock runs
SENTENCES = 12  # some 950 characters, just below a chunk's thousand
KOWAI_UP = (str(Path(sys.executable).parent / "kowai"), "up")
STOP_SECONDS = 60.0
CALM = 0.1  # of a core
CALM_SECONDS = 60.0


class Running(NamedTuple):
    """Hold a started KowAI and how many seconds it took to its first cited answer, if it gave one, and to be ready."""

    process: subprocess.Popen[str]
    state: Path
    api: httpx.Client
    seconds_to_answer: float | None
    seconds_to_ready: float

    def tree(self) -> list[psutil.Process]:
        """Return every process below `kowai up`, those it detached included."""
        record = read_record(self.state / "run" / "state.json")
        pids = [self.process.pid, *(process.pid for process in (record.processes if record else []))]
        roots = [psutil.Process(pid) for pid in pids]
        tree = {process.pid: process for root in roots for process in [root, *root.children(recursive=True)]}
        return list(tree.values())

    def settle(self) -> None:
        """Wait until what goes on starting after the ready line has calmed down, a minute at most."""
        give_up = time.perf_counter() + CALM_SECONDS
        while time.perf_counter() < give_up:
            began, before = time.perf_counter(), _cpu_seconds(self.tree())
            time.sleep(1)
            if _cpu_seconds(self.tree()) - before < CALM * (time.perf_counter() - began):
                return


@contextmanager
def started(state: Path, *command: str, **variables: str) -> Generator[Running]:
    """Run a command that ends in `kowai up`, on free ports, until the block ends. Raises CannotStart."""
    port, began, answered = free_port(), time.perf_counter(), None
    own = {"KOWAI_STATE": str(state), "KOWAI_PORT": str(port), "KOWAI_PREFECT_PORT": str(free_port())}
    process = subprocess.Popen(  # noqa: S603 -- our own command
        command, env=os.environ | own | variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout
    printed = ""
    for line in process.stdout:
        printed = line
        if answered is None and "[1]" in line:
            answered = time.perf_counter() - began
        if line.startswith("KowAI is ready"):
            break
    else:
        raise CannotStart(f"The KowAI to be measured did not start: {printed.strip() or 'it said nothing'}")
    ready = time.perf_counter() - began
    key = (state / "secrets" / "api-key").read_text().strip()
    bearer = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=bearer, timeout=600, trust_env=False) as api:
        try:
            yield Running(process, state, api, answered, ready)
        finally:
            process.terminate()
            process.wait(STOP_SECONDS)


class Ground:
    """Hold what sections share: it is made when the first of them needs it and goes when the block ends."""

    def __init__(self, documents: int, runs: int) -> None:
        self.documents, self.runs = documents, runs
        self._open = ExitStack()

    def __enter__(self) -> "Ground":
        temporary = tempfile.TemporaryDirectory(prefix="kowai-bench-", ignore_cleanup_errors=True)
        self.folder = Path(self._open.enter_context(temporary))
        self.folder.chmod(0o711)  # PostgreSQL's own user passes through
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @cached_property
    def running(self) -> Running:
        """Return an empty KowAI that is at rest, and runs until the end."""
        running = self._open.enter_context(started(self.folder / "shared", *KOWAI_UP, "--bare"))
        running.settle()
        return running

    @cached_property
    def seconds_to_fill(self) -> float:
        """Index the generated documents, one chunk each, and return what that took once the first ones had been."""
        return seconds_to_ingest(self.running, self.texts)

    @cached_property
    def texts(self) -> list[str]:
        return list(generated_texts(self.documents))


def seconds_to_ingest(running: Running, texts: Sequence[str]) -> float:
    """Index a document a text, and return what that took once the first ones had been."""
    lines = [json.dumps({"_id": name_of(number), "text": text}) for number, text in enumerate(texts)]
    _ingest(running, lines[:WARMING])
    began = time.perf_counter()
    _ingest(running, lines[WARMING:])
    return time.perf_counter() - began


def _ingest(running: Running, lines: Sequence[str]) -> None:
    """Do what `kowai ingest` does in this process. Raises CannotStart where a document could not be indexed.

    A guard holds back one in three hundred: words that were thrown together are an order now and then.
    """
    key = (running.state / "secrets" / "api-key").read_text().strip()
    with tempfile.TemporaryDirectory() as folder, Api(str(running.api.base_url), key) as api:
        corpus = Path(folder) / "corpus.jsonl"
        corpus.write_text("\n".join(lines))
        tally = ingest_all([str(corpus)], api)
    if tally.indexed + tally.quarantined != len(lines):
        raise CannotStart(f"Not every document could be indexed: {tally}")


def _cpu_seconds(processes: Sequence[psutil.Process]) -> float:
    seconds = 0.0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            seconds += times.user + times.system
    return seconds


def name_of(number: int) -> str:
    return f"bench-{number}"


def generated_texts(count: int) -> Iterator[str]:
    """Yield texts that fill one chunk, made of the samples' words; the same ones every time."""
    chooser = random.Random(SEED)  # noqa: S311 -- reproducible, not secret
    pages = sorted((CODE / "samples").rglob("*.md"))
    words = sorted({word for page in pages for word in re.findall(r"[A-Za-z]{3,}", page.read_text())})
    for number in range(count):
        sentences = [" ".join(chooser.choices(words, k=10)).capitalize() for _ in range(SENTENCES)]
        yield f"Subject {number} {'. '.join(sentences)}."
