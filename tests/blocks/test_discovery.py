"""Models that are at hand are found; nothing is invented."""

from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

from blocks.discovery import PROVIDERS, find_targets, keyed_targets, ollama_address
from blocks.language_model import LanguageModel
from blocks.price_table import price_of
from tests.serving import handled


@contextmanager
def answering(body: bytes) -> Generator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return

    with handled(Handler) as server:
        yield f"127.0.0.1:{server.server_port}"


async def test_without_anything_there_is_nothing() -> None:
    assert await find_targets({"OLLAMA_HOST": "127.0.0.1:9"}) == []


async def test_a_listening_ollama_comes_first_and_is_free() -> None:
    with answering(b'{"models": [{"name": "nomic-embed-text:latest"}, {"name": "qwen3:8b"}]}') as host:
        first, *others = await find_targets({"OLLAMA_HOST": host, "OPENAI_API_KEY": "sk-x"})
    assert (first.name, first.model, first.input_price, first.output_price) == ("ollama", "qwen3:8b", 0, 0)
    assert {target.name for target in others} == {"openai", "openai-fast"}


async def test_something_else_on_that_port_is_no_ollama() -> None:
    for body in (b"hello", b"[]", b'{"models": [1]}'):
        with answering(body) as host:
            assert await find_targets({"OLLAMA_HOST": host}) == []


def test_ollamas_own_variable_is_read_as_ollama_reads_it() -> None:
    assert ollama_address({}) == "http://127.0.0.1:11434"
    assert ollama_address({"OLLAMA_HOST": "0.0.0.0"}) == "http://127.0.0.1:11434"
    assert ollama_address({"OLLAMA_HOST": "https://ollama.example:443/"}) == "https://ollama.example:443"


def test_every_suggested_model_has_a_published_price() -> None:
    targets = keyed_targets({provider.key: "key" for provider in PROVIDERS})
    assert [target.model for target in targets if price_of(target, 1000) is None] == []


def test_a_role_gets_its_targets_and_an_unknown_role_gets_them_all() -> None:
    block = LanguageModel(targets=keyed_targets({"OPENAI_API_KEY": "key"}))
    assert [target.name for target in block.for_role("fast")] == ["openai-fast"]
    assert [target.name for target in block.for_role("careful")] == ["openai"]
    assert len(block.for_role("poetry")) == 2


def test_a_key_is_never_shown() -> None:
    assert "sk-secret" not in repr(keyed_targets({"OPENAI_API_KEY": "sk-secret"}))
