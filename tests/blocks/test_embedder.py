"""The embedder block serves local models without holding up the loop, and endpoints without trusting them."""

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from blocks.embedder import Embedder
from kowai.errors import EmbedderFailed, EmbedderRefused, Misconfigured


class Endpoint(BaseHTTPRequestHandler):
    """Answer POST /v1/embeddings as its server's `script` says: a status, or what to do to the reply."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        script = self.server.script
        vectors = [[float(len(text)), 1.0, 0.0] for text in body["input"]]
        if script == "short":
            vectors = vectors[:-1]
        if script == "nan":
            vectors[0][0] = float("nan")
        data = [{"index": n, "embedding": vector} for n, vector in enumerate(vectors)]
        reply = b"no json" if script == "garbage" else json.dumps({"data": data[::-1]}).encode()
        self.send_response(script if isinstance(script, int) else 200)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[Any]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    server.script, server.asked = "", []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def remote(server: Any, **fields: Any) -> Embedder:
    url = f"http://127.0.0.1:{server.server_port}/v1"
    return Embedder(provider="openai", endpoint=url, model="m", dimensions=3, batch_size=2, **fields)


async def test_an_endpoints_vectors_are_normalised_and_in_order(endpoint: Any) -> None:
    vectors = await remote(endpoint, query_prefix="query: ").embed(["a", "bb", "ccc"], purpose="query")
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert list(np.argsort(vectors[:, 0])) == [0, 1, 2]
    assert [body["input"] for body in endpoint.asked] == [["query: a", "query: bb"], ["query: ccc"]]
    assert endpoint.asked[0]["dimensions"] == 3


@pytest.mark.parametrize("script", [429, 500, 503])
async def test_what_may_pass_is_worth_retrying(endpoint: Any, script: int) -> None:
    endpoint.script = script
    with pytest.raises(EmbedderFailed) as caught:
        await remote(endpoint).embed(["a"], purpose="document")
    assert caught.value.retryable
    assert len(endpoint.asked) == 1


@pytest.mark.parametrize("script", [400, 401, "garbage", "short", "nan"])
async def test_what_will_stay_wrong_is_refused_at_once(endpoint: Any, script: int | str) -> None:
    endpoint.script = script
    with pytest.raises(EmbedderRefused) as caught:
        await remote(endpoint).embed(["a", "b"], purpose="document")
    assert not caught.value.retryable


async def test_an_endpoint_that_is_away_is_worth_retrying(endpoint: Any) -> None:
    gone = remote(endpoint)
    endpoint.shutdown()
    endpoint.server_close()
    with pytest.raises(EmbedderFailed, match="cannot be reached"):
        await gone.embed(["a"], purpose="document")


async def test_a_question_does_not_wait_behind_a_long_ingestion() -> None:
    embedder = Embedder()
    await embedder.embed(["warm"], purpose="query")
    ingestion = asyncio.create_task(
        embedder.embed([f"sentence number {n} " * 20 for n in range(300)], purpose="document")
    )
    await asyncio.sleep(0.05)
    await embedder.embed(["a question"], purpose="query")
    assert not ingestion.done()
    assert (await ingestion).shape == (300, 384)


def test_an_endpoint_without_a_dimension_names_no_space() -> None:
    with pytest.raises(Misconfigured, match="dimensions"):
        _ = Embedder(provider="openai", endpoint="http://x", model="m").space


def test_prefixes_make_another_space() -> None:
    assert Embedder(query_prefix="q: ").space != Embedder().space
