"""Chat through the shim, beside a plain FastAPI handler over the same store, embedder, search and model.

Run `python -m benchmarks.chat [--chunks 10000] [--users 10] [--asked 100] [--rounds 5] [--json FILE]`: the model is a
stub that answers at once, in a process of its own; users ask again as soon as they are answered; the two take turns,
each when Prefect has been told of what was answered before. Every question is new, so that no
answer is read from the ledger.
"""

import argparse
import asyncio
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg

from benchmarks.search_latency import fill, generated, understood
from deployments.bench.figures import machine, ninety_fifth
from deployments.bench.ground import KOWAI_UP, Running, started
from deployments.local import postgres
from deployments.local.environment import CODE
from deployments.local.layout import Layout
from deployments.local.ports import free_port
from kowai.keys import parse_key

WARMING = 10
BARS = {"overhead p50": "<= 50 ms", "overhead p95": "<= 120 ms", "rate": ">= 40 1/s", "first token": "<= 60 ms"}
STUB = r"""
import asyncio, json
SAID = "[[ ## found ## ]]\nTrue\n\n[[ ## answer ## ]]\nSo it is [1].\n\n[[ ## completed ## ]]"
USAGE = {"prompt_tokens": 100, "completion_tokens": 10}

def body(asked):
    shared = {"id": "c", "model": "stub"}
    if not asked.get("stream"):
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": SAID}}
        whole = shared | {"object": "chat.completion", "choices": [choice], "usage": USAGE}
        return "application/json", json.dumps(whole)
    pieces = [{"role": "assistant"}, *({"content": word} for word in SAID.split(" "))]
    chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in pieces]
    chunks += [{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, {"choices": [], "usage": USAGE}]
    lines = [json.dumps(shared | {"object": "chat.completion.chunk"} | chunk) for chunk in chunks]
    return "text/event-stream", "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"])

async def serve(reader, writer):
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
            sent = await reader.readexactly(int(lengths[0].split(b":")[1])) if lengths else b"{}"
            kind, text = body(json.loads(sent)) if lengths else ("application/json", '{"models": [{"name": "stub"}]}')
            reply = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(text)}\r\n\r\n{text}"
            writer.write(reply.encode())
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""
_numbers = itertools.count(1)


@contextmanager
def model_stub() -> Generator[str]:
    """Yield host and port of a model that answers at once, found by KowAI as an Ollama."""
    process = subprocess.Popen([sys.executable, "-c", STUB], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        yield f"127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.terminate()


@contextmanager
def plain_handler(database_url: str, tenant: UUID, model: str) -> Generator[str]:
    port = free_port()
    own = {"PLAIN_DATABASE_URL": database_url, "PLAIN_TENANT": str(tenant), "PLAIN_MODEL_URL": f"http://{model}/v1"}
    command = (sys.executable, "-m", "uvicorn", "benchmarks.plain_chat:app", "--port", str(port), "--no-access-log")
    process = subprocess.Popen(command, env=os.environ | own, cwd=CODE, stdout=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}/chat"
    finally:
        process.terminate()
        process.wait(30)


def fill_store(running: Running, chunks: int) -> tuple[str, UUID]:
    """Write chunks mixed from generated texts; return the application's URL and the tenant."""
    url = (running.state / "secrets" / "app-database-url").read_text().strip()
    tenant = parse_key((running.state / "secrets" / "api-key").read_text()).tenant_id
    texts, _ = generated(chunks)
    material = understood(texts, running.state / "vectors")
    with psycopg.connect(postgres.owner_url(Layout(running.state).cluster), autocommit=True) as owner:
        fill(owner, [tenant], [1], material, chunks)
    return url, tenant


def question() -> dict[str, str]:
    return {"query": f"What is said about subject {next(_numbers)} and its documents?"}


async def crowd(api: httpx.AsyncClient, url: str, users: int, asked: int) -> dict[str, float]:
    """Let users ask until `asked` answers are there; milliseconds and answers a second."""
    times: list[float] = []

    async def user() -> None:
        for _ in range(asked // users):
            began = time.perf_counter()
            (await api.post(url, json=question())).raise_for_status()
            times.append(1000 * (time.perf_counter() - began))

    began = time.perf_counter()
    await asyncio.gather(*(user() for _ in range(users)))
    rate = len(times) / (time.perf_counter() - began)
    return {"p50": statistics.median(times), "p95": ninety_fifth(times), "rate": rate}


async def first_token(api: httpx.AsyncClient, url: str) -> float:
    """Return milliseconds until the first piece of a streamed answer's text."""
    began = time.perf_counter()
    async with api.stream("POST", url, json=question()) as reply:
        async for line in reply.aiter_lines():
            if line == "event: text":
                return 1000 * (time.perf_counter() - began)
    return float("nan")


async def measure(options: argparse.Namespace, running: Running, model: str) -> dict[str, Any]:
    database_url, tenant = await asyncio.to_thread(fill_store, running, options.chunks)
    ours, limits = str(running.api.base_url).rstrip("/"), httpx.Limits(max_connections=options.users)
    rounds: dict[str, list[dict[str, float]]] = {"plain": [], "kowai": []}
    with plain_handler(database_url, tenant, model) as plain:
        async with httpx.AsyncClient(headers=running.api.headers, limits=limits, timeout=120, trust_env=False) as api:
            await reachable(api, plain)
            urls = {"plain": plain, "kowai": f"{ours}/api/v1/query"}
            for url in urls.values():
                await crowd(api, url, 1, WARMING)
            for _ in range(options.rounds):
                for name, url in urls.items():
                    await all_told(running)
                    rounds[name].append(await crowd(api, url, options.users, options.asked))
            alone = {name: await crowd(api, url, 1, options.asked // 2) for name, url in urls.items()}
            routes = (await api.get(f"{ours}/openapi.json")).json()["paths"]
            streamed = (
                [await first_token(api, f"{ours}/api/v1/chat") for _ in range(20)] if "/api/v1/chat" in routes else []
            )
    return {"crowd": rounds, "alone": alone, "first token": streamed}


async def all_told(running: Running) -> None:
    """Wait until Prefect knows of every answer, so that nobody pays in a round for another's answers."""
    waiting = "select from outbox where kind = 'flow-run' and delivered_at is null limit 1"
    url = postgres.owner_url(Layout(running.state).cluster)
    async with asyncio.timeout(300), await psycopg.AsyncConnection.connect(url, autocommit=True) as owner:
        while await (await owner.execute(waiting)).fetchone() is not None:
            await asyncio.sleep(0.5)


async def reachable(api: httpx.AsyncClient, url: str) -> None:
    for _ in range(600):
        try:
            (await api.post(url, json=question())).raise_for_status()
            return
        except httpx.TransportError:
            await asyncio.sleep(0.2)


def summary(found: dict[str, Any]) -> dict[str, Any]:
    """Return medians over the rounds; overheads are differences within a round."""
    pairs = list(zip(found["crowd"]["plain"], found["crowd"]["kowai"], strict=True))
    rows = {f"overhead {name}": [ours[name] - plain[name] for plain, ours in pairs] for name in ("p50", "p95")}
    rows |= {
        f"{kind} {name}": [row[name] for row in found["crowd"][kind]] for kind in found["crowd"] for name in pairs[0][0]
    }
    rows |= {f"{kind} alone p50": [row["p50"]] for kind, row in found["alone"].items()}
    rows["rate"] = rows.pop("kowai rate")
    rows["first token"] = found["first token"]
    return {
        name: {
            "median": statistics.median(values),
            "least": min(values),
            "most": max(values),
            "bar": BARS.get(name, ""),
        }
        for name, values in rows.items()
        if values
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure chat beside a plain handler without Prefect.")
    parser.add_argument("--chunks", type=int, default=10_000)
    parser.add_argument("--users", type=int, default=10)
    parser.add_argument("--asked", type=int, default=100, help="answers a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options, before = parser.parse_args(), machine()
    with tempfile.TemporaryDirectory(prefix="kowai-chat-", ignore_cleanup_errors=True) as folder, model_stub() as model:
        Path(folder).chmod(0o711)
        with started(Path(folder) / "state", *KOWAI_UP, "--bare", OLLAMA_HOST=model) as running:
            rows = summary(asyncio.run(measure(options, running, model)))
    for name, row in rows.items():
        print(f"{name:<18} {row['median']:>9.1f}  {row['least']:.1f} to {row['most']:.1f}  {row['bar']}")
    if options.json:
        options.json.write_text(
            json.dumps({"machine": before, "load_after": machine()["load"], "rows": rows}, indent=1)
        )


if __name__ == "__main__":
    main()
