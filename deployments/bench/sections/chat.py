"""How long an answer takes through the shim, extractive, over the generated documents, and Prefect's share of it."""

import re
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from deployments.bench.figures import Figure, median, ninety_fifth
from deployments.bench.ground import Ground, Running, generated_texts
from deployments.bench.sections import Section

QUESTIONS, CROWD = 100, 200  # each another one, for a tenant's repeated question costs less
WARMING = 10
AT_ONCE = 10


class Asked(NamedTuple):
    """Hold milliseconds until the answer was there, and those that went to Prefect as far as the shim says."""

    total: float
    prefect: float | None


def measure(ground: Ground) -> Iterator[Figure]:
    assert ground.seconds_to_fill
    questions = [f"What is said about {text.split('. ')[0].lower()}?" for text in generated_texts(QUESTIONS + CROWD)]
    for question in questions[:WARMING]:
        _ask(ground.running, question)
    alone = [_ask(ground.running, question) for question in questions[:QUESTIONS]]
    yield median("chat p50", [asked.total for asked in alone], "ms", "<= 150")
    yield Figure("chat p95", ninety_fifth([asked.total for asked in alone]), "ms")
    prefect = [asked.prefect for asked in alone]
    yield median("of which Prefect, p50", prefect, "ms")
    shares = [100 * asked.prefect / asked.total for asked in alone if asked.prefect is not None]
    yield Figure("Prefect's share of a chat, p50", statistics.median(shares) if shares else None, "%")
    yield from _crowded(ground.running, questions[QUESTIONS:])


def _crowded(running: Running, questions: list[str]) -> Iterator[Figure]:
    began = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        crowd = [asked.total for asked in pool.map(partial(_ask, running), questions)]
    seconds = time.perf_counter() - began
    yield median(f"chat p50, {AT_ONCE} at once", crowd, "ms")
    yield Figure(f"chat p95, {AT_ONCE} at once", ninety_fifth(crowd), "ms")
    yield Figure(f"answers, {AT_ONCE} at once", len(crowd) / seconds, "1/s")


def _ask(running: Running, question: str) -> Asked:
    began = time.perf_counter()
    response = running.api.post("/api/v1/query", json={"query": question}).raise_for_status()
    total = 1000 * (time.perf_counter() - began)
    prefect = re.search(r"prefect;dur=([\d.]+)", response.headers["Server-Timing"])
    return Asked(total, float(prefect[1]) if prefect else None)


section = Section("Answers alone and ten at once, and Prefect's share.", measure, order=3)
