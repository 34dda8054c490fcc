"""The embedder block serves local models without holding up the loop, and endpoints without trusting them."""

import asyncio
import json
import pickle
import time
import weakref
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from numpy.typing import NDArray
from prefect.blocks.core import Block
from prefect.testing.standard_test_suites.blocks import BlockStandardTestSuite

from blocks import embedder
from blocks.embedder import Embedder, local_model
from blocks.kept_states import KeptStates
from kowai.embedding.encoder import TextEncoder
from kowai.embedding.states import Encoded
from kowai.errors import EmbedderBusy, EmbedderFailed, EmbedderRefused, Misconfigured
from kowai.settings import settings
from tests.kowai.tiny_bert import WIDTH, random_weights, write_model
from tests.serving import handled

TENANT = uuid4()
MOST_SECONDS = 30


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep built graphs out of the working directory."""
    monkeypatch.setenv("KOWAI_STATE", str(tmp_path / "state"))
    settings.cache_clear()
    yield
    settings.cache_clear()


class TestEmbedderBlock(BlockStandardTestSuite):
    @pytest.fixture
    def block(self) -> type[Embedder]:
        return Embedder

    @pytest.mark.skip(reason="the block has no logo: one would have to be fetched from the network")
    def test_has_a_valid_image(self, block: type[Block]) -> None: ...


class Endpoint(BaseHTTPRequestHandler):
    """Answer POST /v1/embeddings as its server's `script` says: a status, or what to do to the reply."""

    server: Any

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body | {"authorization": self.headers["Authorization"]})
        script = self.server.script
        vectors = [[float(len(text)), 1.0, 0.0] for text in body["input"]]
        if script == "short":
            vectors = vectors[:-1]
        if script == "nan":
            vectors[0][0] = float("nan")
        if script == "zero":
            vectors[0] = [0.0, 0.0, 0.0]
        if script == "slow":
            time.sleep(2.0)
        data = [{"index": n, "embedding": vector} for n, vector in enumerate(vectors)]
        reply = b"no json" if script == "garbage" else json.dumps({"data": data[::-1]}).encode()
        self.send_response(script if isinstance(script, int) else 200)
        self.send_header("Content-Length", str(len(reply)))
        if self.server.retry_after:
            self.send_header("Retry-After", self.server.retry_after)
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[Any]:
    with handled(Endpoint) as server:
        server.script, server.retry_after, server.asked = "", "", []
        yield server


def remote(server: Any, **fields: Any) -> Embedder:
    url = f"http://127.0.0.1:{server.server_port}/v1"
    return Embedder(provider="openai", endpoint=url, model="m", dimensions=3, batch_size=2, **fields)


async def test_an_endpoints_vectors_are_normalised_and_in_order(endpoint: Any) -> None:
    vectors = await remote(endpoint, query_prefix="query: ").embed(["a", "bb", "ccc"], purpose="query")
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert list(np.argsort(vectors[:, 0])) == [0, 1, 2]
    assert [body["input"] for body in endpoint.asked] == [["query: a", "query: bb"], ["query: ccc"]]
    assert endpoint.asked[0]["dimensions"] == 3


async def test_an_endpoint_is_asked_in_its_own_terms(endpoint: Any) -> None:
    await remote(endpoint, ask_for_dimensions=False, api_key="secret").embed(["", "a"], purpose="document")
    (body,) = endpoint.asked
    assert "dimensions" not in body
    assert body["authorization"] == "Bearer secret"
    assert body["input"] == [" ", "a"]


async def test_only_the_built_in_model_shows_the_states_of_tokens(endpoint: Any) -> None:
    assert await remote(endpoint).read("a question", ["a text"], TENANT) is None
    assert await Embedder(document_prefix="passage: ").read("a question", ["a text"], TENANT) is None
    asked, encoded = await Embedder().read("a question", ["a longer text"], TENANT) or []
    assert (asked.states.shape, encoded.states.shape) == ((3, 4, 384), (3, 5, 384))


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the texts that were really read."""
    texts, read = list[str](), TextEncoder.read

    def counted(encoder: TextEncoder, wanted: Sequence[str]) -> list[Encoded]:
        texts.extend(wanted)
        return read(encoder, wanted)

    monkeypatch.setattr(TextEncoder, "read", counted)
    monkeypatch.setattr(embedder, "_recent", KeptStates(1_000_000, 600))
    return texts


async def test_a_question_is_read_once_to_search_for_it_and_to_judge_sentences(computed: list[str]) -> None:
    question = "Who reads a question twice?"
    (vector,) = await Embedder().embed([question], purpose="query", asker=TENANT)
    asked, *others = await Embedder().read(question, ["one", "two of them", "three"], TENANT) or []
    assert np.array_equal(asked.vector, vector)
    assert [len(each.offsets) for each in others] == [3, 5, 3]
    assert sorted(computed) == sorted([question, "one", "two of them", "three"])


async def test_what_one_tenant_has_had_read_is_read_again_for_another(computed: list[str]) -> None:
    for tenant in (TENANT, TENANT, uuid4()):
        assert await Embedder().read("a question", ["a text"], tenant)
    assert sorted(computed) == ["a question", "a question", "a text", "a text"]


async def test_a_question_of_nobody_is_not_kept(computed: list[str]) -> None:
    await Embedder().embed(["a question"], purpose="query")
    await Embedder().embed(["a question"], purpose="query", asker=TENANT)
    assert computed == ["a question"]


def of_one_token(states: NDArray[np.float32]) -> Encoded:
    return Encoded(np.zeros(4, np.float32), np.zeros((1, 2), np.int64), states, np.zeros(1, np.int64))


async def test_states_are_kept_for_a_while_and_up_to_so_many_bytes() -> None:
    small = of_one_token(np.zeros((3, 1, 4), np.float32))
    size = sum(each.nbytes for each in small)
    kept, forgetful, tiny = KeptStates(2 * size, 600), KeptStates(2 * size, 0), KeptStates(size - 1, 600)
    for text in ("first", "second", "third"):
        for states in (kept, forgetful, tiny):
            states.put(TENANT, [text], [small])
    assert [kept.get(TENANT, [text]) is not None for text in ("first", "second", "third")] == [False, True, True]
    assert forgetful.get(TENANT, ["third"]) is None
    assert tiny.get(TENANT, ["third"]) is None


async def test_states_past_their_time_are_forgotten_though_nobody_asks_for_any() -> None:
    kept, states = KeptStates(1_000_000, 0.01), np.zeros((3, 1, 4), np.float32)
    still = weakref.ref(states)
    kept.put(TENANT, ["a text"], [of_one_token(states)])
    del states
    async with asyncio.timeout(MOST_SECONDS):
        while still() is not None:
            await asyncio.sleep(0.01)


async def test_no_text_asks_nobody(endpoint: Any) -> None:
    assert (await remote(endpoint).embed([], purpose="document")).shape == (0, 3)
    assert (await Embedder().embed([], purpose="document")).shape == (0, 384)
    assert endpoint.asked == []


@pytest.mark.parametrize("script", [408, 429, 500, 503])
async def test_what_may_pass_is_worth_retrying_and_tried_once(endpoint: Any, script: int) -> None:
    endpoint.script = script
    with pytest.raises(EmbedderFailed) as caught:
        await remote(endpoint).embed(["a"], purpose="document")
    assert caught.value.retryable
    assert len(endpoint.asked) == 1


@pytest.mark.parametrize("script", [400, 401, "garbage", "short", "nan", "zero"])
async def test_what_will_stay_wrong_is_refused_at_once(endpoint: Any, script: int | str) -> None:
    endpoint.script = script
    with pytest.raises(EmbedderRefused) as caught:
        await remote(endpoint).embed(["a", "b"], purpose="document")
    assert not caught.value.retryable


@pytest.mark.parametrize(("header", "least", "most"), [("7", 7, 7), (None, 1, 60)], ids=["seconds", "date"])
async def test_a_busy_endpoint_says_how_long_to_wait(
    endpoint: Any, header: str | None, least: float, most: float
) -> None:
    header = header or format_datetime(datetime.now(UTC) + timedelta(minutes=1), usegmt=True)
    endpoint.script, endpoint.retry_after = 429, header
    with pytest.raises(EmbedderBusy) as caught:
        await remote(endpoint).embed(["a"], purpose="document")
    error = pickle.loads(pickle.dumps(caught.value))
    assert least <= error.retry_after <= most


@pytest.mark.parametrize("header", ["", "soon", "-1"])
async def test_a_wait_that_cannot_be_read_is_unknown(endpoint: Any, header: str) -> None:
    endpoint.script, endpoint.retry_after = 503, header
    with pytest.raises(EmbedderBusy) as caught:
        await remote(endpoint).embed(["a"], purpose="document")
    assert caught.value.retry_after is None


async def test_an_endpoint_that_is_away_is_worth_retrying(endpoint: Any) -> None:
    gone = remote(endpoint)
    endpoint.shutdown()
    endpoint.server_close()
    with pytest.raises(EmbedderFailed, match="cannot be reached"):
        await gone.embed(["a"], purpose="document")


async def test_an_endpoint_that_is_slow_is_worth_retrying(endpoint: Any) -> None:
    endpoint.script = "slow"
    with pytest.raises(EmbedderFailed, match=r"within 0\.1 s"):
        await remote(endpoint, timeout_seconds=0.1).embed(["a"], purpose="document")


async def test_an_endpoint_that_is_no_address_is_not_worth_retrying() -> None:
    with pytest.raises(Misconfigured, match="no address"):
        await Embedder(provider="openai", endpoint="there", model="m", dimensions=3).embed(["a"], purpose="query")


async def test_a_question_does_not_wait_behind_a_long_ingestion() -> None:
    embedder = Embedder()
    await embedder.embed(["warm"], purpose="query")
    texts = [f"sentence number {n}" for n in range(2000)]
    ingestion = asyncio.create_task(embedder.embed(texts, purpose="document"))
    await asyncio.sleep(0.05)
    for _ in range(5):
        await embedder.embed(["a question"], purpose="query")
    assert not ingestion.done()
    ingestion.cancel()


async def test_the_loop_goes_on_while_a_local_model_computes() -> None:
    ingestion = asyncio.create_task(Embedder().embed(["some words " * 50] * 20, purpose="document"))
    turns = 0
    while not ingestion.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 20
    assert (await ingestion).shape == (20, 384)


async def test_a_model_in_a_folder_is_loaded_once(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "tiny", random_weights())
    embedder = Embedder(provider="directory", directory=str(folder))
    rows = await asyncio.gather(*(embedder.embed(["a"], purpose="query") for _ in range(4)))
    assert all(np.array_equal(row, rows[0]) for row in rows)
    assert embedder.space.model.startswith("tiny@")
    assert embedder.space.dimensions == WIDTH
    assert local_model(str(folder)) is local_model(str(folder))


def test_a_folder_without_a_model_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"config\.json and tokenizer\.json"):
        _ = Embedder(provider="directory", directory=str(tmp_path)).space
    with pytest.raises(Misconfigured, match="names no directory"):
        _ = Embedder(provider="directory").space


def test_an_endpoint_without_a_dimension_names_no_space() -> None:
    with pytest.raises(Misconfigured, match="dimensions"):
        _ = Embedder(provider="openai", endpoint="http://x", model="m").space


def test_prefixes_make_another_space() -> None:
    assert Embedder().space == ("all-MiniLM-L6-v2", 384)
    assert Embedder(query_prefix="q: ").space != Embedder().space
