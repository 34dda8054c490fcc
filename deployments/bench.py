"""Measure KowAI on this machine: start it on an empty state, feed it, ask it, and print what that took."""

import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import httpx
import psutil

from deployments.local.ports import free_port
from deployments.local.record import read_record

SEED = 20261121
WORDS = Path(__file__).parent.parent / "samples"
DOCUMENTS = 10_000
BATCH = 500
QUESTIONS = 100
AT_ONCE = 10
SENTENCES = 12  # some 950 characters, just below a chunk's thousand


class Figure(NamedTuple):
    """Hold one measured value with its unit and, where the project sets one, the bar it must meet."""

    name: str
    value: float
    unit: str
    bar: str = ""


class Running(NamedTuple):
    process: subprocess.Popen[str]
    state: Path
    api: httpx.Client
    seconds_to_answer: float | None
    seconds_to_ready: float


def measure(documents: int = DOCUMENTS) -> Iterator[Figure]:
    """Yield each figure as soon as it is known; everything happens in a state directory made for it."""
    with tempfile.TemporaryDirectory(prefix="kowai-bench-", ignore_cleanup_errors=True) as folder:
        with _started(Path(folder)) as first:
            yield Figure("first cited answer, empty state", first.seconds_to_answer or float("nan"), "s", "<= 60")
        with _started(Path(folder), "--bare") as warm:
            yield Figure("warm start to ready", warm.seconds_to_ready, "s", "<= 15")
            yield from _ingestion(warm, documents)
            yield from _chat(warm)
            yield Figure("resident memory of the tree", _resident_bytes(warm) / 1e9, "GB", "<= 1.2")


@contextmanager
def _started(folder: Path, *arguments: str) -> Generator[Running]:
    """Run `kowai up` on free ports until the block ends."""
    port, prefect_port = free_port(), free_port()
    environment = os.environ | {"KOWAI_STATE": str(folder / "state")}
    environment |= {"KOWAI_PORT": str(port), "KOWAI_PREFECT_PORT": str(prefect_port)}
    began, answered = time.perf_counter(), None
    command = [str(Path(sys.executable).parent / "kowai"), "up", *arguments]
    process = subprocess.Popen(  # noqa: S603 -- our own command
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout
    for line in process.stdout:
        if answered is None and "[1]" in line:
            answered = time.perf_counter() - began
        if line.startswith("KowAI is ready"):
            break
    ready = time.perf_counter() - began
    key = (folder / "state" / "secrets" / "api-key").read_text().strip()
    api = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {key}"}, timeout=600)
    try:
        yield Running(process, folder / "state", api, answered, ready)
    finally:
        process.terminate()
        process.wait(60)


def _ingestion(running: Running, documents: int) -> Iterator[Figure]:
    """Index generated documents of one chunk each, then embed the same texts alone: the rest is KowAI's own cost."""
    texts = list(generated_texts(documents))
    began = time.perf_counter()
    for start in range(0, len(texts), BATCH):
        batch = [{"_id": f"bench-{start + n}", "text": text} for n, text in enumerate(texts[start : start + BATCH])]
        running.api.post("/api/v1/documents:batch", json={"documents": batch}).raise_for_status()
    seconds = time.perf_counter() - began
    yield Figure("ingestion", len(texts) / seconds, "chunks/s")
    yield Figure("embedder's share of ingestion", 100 * _embedding_seconds(texts) / seconds, "%", ">= 85")


def _embedding_seconds(texts: list[str]) -> float:
    from blocks.embedder import local_model

    model = local_model()
    model.embed(texts[:8])
    began = time.perf_counter()
    for start in range(0, len(texts), BATCH):
        model.embed(texts[start : start + BATCH])
    return time.perf_counter() - began


def _chat(running: Running) -> Iterator[Figure]:
    questions = [f"What is said about {text.split('. ')[0].lower()}?" for text in generated_texts(QUESTIONS)]
    one_by_one = [_ask(running, question) for question in questions]
    yield Figure("chat p50", statistics.median(total for total, _ in one_by_one), "ms", "<= 150")
    yield Figure("chat p95", _p95([total for total, _ in one_by_one]), "ms")
    yield Figure("of which Prefect, p50", statistics.median(prefect for _, prefect in one_by_one), "ms")
    began = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        crowded = list(pool.map(partial(_ask, running), questions * 2))
    seconds = time.perf_counter() - began
    yield Figure(f"chat p50, {AT_ONCE} at once", statistics.median(total for total, _ in crowded), "ms")
    yield Figure(f"chat p95, {AT_ONCE} at once", _p95([total for total, _ in crowded]), "ms")
    yield Figure(f"answers, {AT_ONCE} at once", len(crowded) / seconds, "1/s")


def _ask(running: Running, question: str) -> tuple[float, float]:
    """Return milliseconds in all and milliseconds spent on Prefect."""
    began = time.perf_counter()
    response = running.api.post("/api/v1/query", json={"query": question}).raise_for_status()
    prefect = re.search(r"prefect;dur=([\d.]+)", response.headers["Server-Timing"])
    return 1000 * (time.perf_counter() - began), float(prefect[1]) if prefect else float("nan")


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def _resident_bytes(running: Running) -> int:
    """Add up the memory of every process below `kowai up`; pages that processes share count once (PSS)."""
    record = read_record(running.state / "run" / "state.json")
    roots = [
        psutil.Process(running.process.pid),
        *(psutil.Process(one.pid) for one in (record.processes if record else [])),
    ]
    tree = {process.pid: process for root in roots for process in [root, *root.children(recursive=True)]}
    return sum(process.memory_full_info().pss for process in tree.values())


def generated_texts(count: int) -> Iterator[str]:
    """Yield texts that fill one chunk, made of the samples' words; the same ones every time."""
    chooser = random.Random(SEED)  # noqa: S311 -- reproducible, not secret
    words = sorted({word for path in WORDS.rglob("*.md") for word in re.findall(r"[A-Za-z]{3,}", path.read_text())})
    for number in range(count):
        sentences = [" ".join(chooser.choices(words, k=10)).capitalize() for _ in range(SENTENCES)]
        yield f"Subject {number} {'. '.join(sentences)}."


def as_json(figures: Iterable[Figure]) -> str:
    return json.dumps([figure._asdict() for figure in figures], indent=1)
