"""Measure the CPU that one model call costs this process, by every way to make it, against a local server.

Run `python -m benchmarks.model_calls`: the server runs in a process of its own, the ways take turns, and the medians
of the rounds are printed in milliseconds of CPU per call and as ratios.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

CALLS, ROUNDS, AT_ONCE = 150, 5, 16
QUESTION = "What is the capital of France?"

SERVER = """
import asyncio, json, sys
BODY = json.dumps({"id": "c", "object": "chat.completion", "model": "m", "choices": [{"index": 0, "finish_reason":
    "stop", "message": {"role": "assistant", "content": "[[ ## answer ## ]]\\nParis\\n\\n[[ ## completed ## ]]"}}],
    "usage": {"prompt_tokens": 100, "completion_tokens": 10}}).encode()
REPLY = b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(BODY), BODY)

async def serve(reader, writer):
    try:
        while head := await reader.readuntil(b"\\r\\n\\r\\n"):
            lengths = [line for line in head.lower().split(b"\\r\\n") if line.startswith(b"content-length")]
            await reader.readexactly(int(lengths[0].split(b":")[1]))
            writer.write(REPLY)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""

Way = Callable[[], Awaitable[Any]]


def ways(url: str) -> dict[str, Way]:
    """Return the ways to ask one question: raw HTTP, DSPy alone, and DSPy through KowAI's engine."""
    import dspy
    import httpx

    from blocks.engines import AsyncFailover, BlockingEngine
    from blocks.language_model import Target

    client = httpx.AsyncClient(base_url=url, limits=httpx.Limits(max_connections=AT_ONCE))
    body = {"model": "m", "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 50}
    settings: dict[str, Any] = {"cache": False, "num_retries": 0, "max_tokens": 50}
    plain = dspy.LM("openai/m", api_base=url, api_key="none", engine="lm15", **settings)
    engine = AsyncFailover([Target(name="local", model="m", endpoint=url)])
    blocking = BlockingEngine(engine, asyncio.get_running_loop())
    ours = dspy.LM("kowai/m", engine=blocking, async_engine=engine, **settings)
    predict = dspy.Predict("question -> answer")

    async def raw() -> None:
        json.loads((await client.post("/chat/completions", json=body)).content)

    def through(model: dspy.LM) -> Way:
        async def ask() -> None:
            with dspy.context(lm=model, adapter=dspy.ChatAdapter(), disable_history=True):
                await predict.acall(question=QUESTION)

        return ask

    return {"httpx": raw, "dspy on lm15": through(plain), "dspy on kowai": through(ours)}


async def cpu_per_call(way: Way) -> float:
    """Return milliseconds of this process's CPU per call."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one() -> None:
        async with gate:
            await way()

    began = time.process_time()
    await asyncio.gather(*(one() for _ in range(CALLS)))
    return 1000 * (time.process_time() - began) / CALLS


async def measure(url: str) -> None:
    found: dict[str, list[float]] = {}
    known = ways(url)
    for round_number in range(ROUNDS + 1):
        for name, way in known.items():
            taken = await cpu_per_call(way)
            if round_number:  # the first warms up
                found.setdefault(name, []).append(taken)
    medians = {name: statistics.median(taken) for name, taken in found.items()}
    for name, taken in medians.items():
        print(f"{name:<14} {taken:6.2f} ms CPU/call, {taken - medians['httpx']:+6.2f} ms over httpx")
    print(f"dspy on kowai / dspy on lm15: {medians['dspy on kowai'] / medians['dspy on lm15']:.2f} (bar 1.5)")


def main() -> None:
    """Start the server, measure, stop the server."""
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        asyncio.run(measure(f"http://127.0.0.1:{int(server.stdout.readline())}/v1"))
    finally:
        server.terminate()


if __name__ == "__main__":
    main()
