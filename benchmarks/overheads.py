"""What two of KowAI's promises cost: row-level security on a search, and the ledger on a model call.

Run `python -m benchmarks.overheads [--chunks 10000] [--asked 100] [--rounds 5] [--json FILE]`. The two sides take
turns, question by question, over the same rows: a search as the role that row-level security binds, and as the owner
whom it does not; a call through the ledger to a model that answers at once, and the same call without. The one tenant
owns every chunk, so that both searches read the same rows.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
from dspy import lm15
from pydantic import SecretStr

from benchmarks.chat import model_stub
from benchmarks.search_ground import SPACE, Vectors, embed, open_store
from benchmarks.search_latency import enter, fill, generated, understood
from blocks.database import Database
from blocks.engines import AsyncFailover
from blocks.language_model import LanguageModel, Target
from deployments.bench.figures import machine
from kowai.settings import settings
from tasks.accounts import Purpose
from tasks.metered_engine import MeteredEngine
from tasks.search_sql import search

Side = Callable[[int], Awaitable[object]]
SENTENCES = 20  # a prompt of some two thousand characters


async def in_turn(sides: dict[str, Side], asked: int, rounds: int) -> dict[str, list[float]]:
    """Return each side's median milliseconds of every round, and by how much the first exceeds the second."""
    found: dict[str, list[float]] = {name: [] for name in (*sides, "overhead")}
    for round_number in range(-1, rounds):  # the first one warms up
        times: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(asked):
            for name in list(sides)[:: 1 if number % 2 else -1]:
                began = time.perf_counter()
                await sides[name](round_number * asked + number)
                times[name].append(1000 * (time.perf_counter() - began))
        if round_number >= 0:
            ours, plain = (statistics.median(times[name]) for name in sides)
            for name, value in zip(found, (ours, plain, ours - plain), strict=True):
                found[name].append(value)
    return found


def searches(
    store: Database, owner: Database, tenant: UUID, questions: Sequence[str], vectors: Vectors
) -> dict[str, Side]:
    def side(database: Database) -> Side:
        async def ask(number: int) -> object:
            place = number % len(questions)
            async with database.transaction(tenant) as connection:
                return await search(connection, questions[place], vectors[place], space=SPACE.model)

        return ask

    return {"bound by row-level security": side(store), "not bound": side(owner)}


def calls(model: str, tenant: UUID) -> dict[str, Side]:
    free = Target(
        name="stub", model="stub", endpoint=f"http://{model}/v1", input_price=Decimal(0), output_price=Decimal(0)
    )
    block = LanguageModel(targets=[free])

    def request(number: int) -> lm15.Request:
        said = (
            f"Question {number}. " + "Green tea is steeped for three minutes at 80 degrees, and no longer. " * SENTENCES
        )
        return lm15.Request(model="stub", messages=(lm15.Message.user(said),))

    async def metered(number: int) -> object:
        purpose = Purpose(tenant, None, None, "careful")
        return await MeteredEngine(block, purpose, sample=number).complete(request(number))

    async def plain(number: int) -> object:
        return await AsyncFailover(block.targets).complete(request(number))

    return {"through the ledger": metered, "without": plain}


async def measure(options: argparse.Namespace, model: str, cache: Path) -> dict[str, dict[str, list[float]]]:
    texts, questions = generated(options.chunks)
    vectors = embed(questions, cache)
    async with open_store() as (store, owner_url):
        tenant, owner = uuid4(), Database(url=SecretStr(owner_url))
        with psycopg.connect(owner_url, autocommit=True) as connection:
            enter(connection, [tenant])
            fill(connection, [tenant], [1], understood(texts, cache), options.chunks)
        surround(store, cache)
        both = {"search": searches(store, owner, tenant, questions, vectors), "model call": calls(model, tenant)}
        try:
            return {name: await in_turn(sides, options.asked, options.rounds) for name, sides in both.items()}
        finally:
            await owner.close()


def surround(store: Database, folder: Path) -> None:
    """Let this process's tasks work in the store."""
    os.environ |= {"KOWAI_APP_DATABASE_URL": store.url.get_secret_value(), "KOWAI_STATE": str(folder)}
    settings.cache_clear()


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what row-level security and the ledger cost.")
    parser.add_argument("--chunks", type=int, default=10_000)
    parser.add_argument("--asked", type=int, default=100, help="searches and calls of each side a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options, before = parser.parse_args(), machine()
    with tempfile.TemporaryDirectory(prefix="kowai-overheads-") as folder, model_stub() as model:
        rows = asyncio.run(measure(options, model, Path(folder)))
    for what, sides in rows.items():
        for name, values in sides.items():
            print(f"{what}, {name:<28} {statistics.median(values):>8.2f} ms  {min(values):.2f} to {max(values):.2f}")
    if options.json:
        options.json.write_text(
            json.dumps({"machine": before, "load_after": machine()["load"], "rows": rows}, indent=1)
        )


if __name__ == "__main__":
    main()
