"""What the sections of the benchmark stand on: a KowAI of their own, in a directory that is thrown away."""

import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import httpx

from deployments.local.environment import CODE
from deployments.local.ports import free_port
from kowai.errors import CannotStart

SEED = 20261121
BATCH = 500
SENTENCES = 12  # some 950 characters, just below a chunk's thousand
KOWAI_UP = (str(Path(sys.executable).parent / "kowai"), "up")
STOP_SECONDS = 60.0


class Running(NamedTuple):
    """Hold a started KowAI and how many seconds it took to its first cited answer, if it gave one, and to be ready."""

    process: subprocess.Popen[str]
    state: Path
    api: httpx.Client
    seconds_to_answer: float | None
    seconds_to_ready: float


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
        """Return an empty KowAI that runs until the end."""
        return self._open.enter_context(started(self.folder / "shared", *KOWAI_UP, "--bare"))

    @cached_property
    def seconds_to_fill(self) -> float:
        """Index the generated documents, one chunk each, and return what that took."""
        texts, began = list(generated_texts(self.documents)), time.perf_counter()
        for start in range(0, len(texts), BATCH):
            batch = [{"_id": f"bench-{start + n}", "text": text} for n, text in enumerate(texts[start : start + BATCH])]
            self.running.api.post("/api/v1/documents:batch", json={"documents": batch}).raise_for_status()
        return time.perf_counter() - began


def generated_texts(count: int) -> Iterator[str]:
    """Yield texts that fill one chunk, made of the samples' words; the same ones every time."""
    chooser = random.Random(SEED)  # noqa: S311 -- reproducible, not secret
    pages = sorted((CODE / "samples").rglob("*.md"))
    words = sorted({word for page in pages for word in re.findall(r"[A-Za-z]{3,}", page.read_text())})
    for number in range(count):
        sentences = [" ".join(chooser.choices(words, k=10)).capitalize() for _ in range(SENTENCES)]
        yield f"Subject {number} {'. '.join(sentences)}."
