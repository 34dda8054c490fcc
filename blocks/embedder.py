"""What turns text into vectors: the built-in model, a folder on disk, or an OpenAI-compatible endpoint."""

import asyncio
import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import cache, partial
from pathlib import Path
from threading import Lock
from typing import Literal, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from prefect.blocks.core import Block
from pydantic import Field, HttpUrl, SecretStr

from blocks.embedding_endpoint import Embedded, Endpoint
from blocks.kept_states import KeptStates
from blocks.mapped_files import MappedFolder, let_go
from kowai.embedding.checkpoint import Checkpoint, bundled, read_checkpoint
from kowai.embedding.encoder import TextEncoder
from kowai.embedding.states import Encoded
from kowai.errors import Misconfigured
from kowai.settings import settings

LOCAL_BATCH = 64  # so much is still computed after its flow was cancelled
LANES = {"query": 4, "document": 2}  # threads; questions never queue behind documents
RECENT_BYTES, RECENT_SECONDS = 25_000_000, 600  # of texts' states that are kept: two hundred sentences

Purpose = Literal["query", "document"]
Vectors = NDArray[np.float32]

_loading = Lock()
_models: dict[str, TextEncoder] = {}
_recent = KeptStates(RECENT_BYTES, RECENT_SECONDS)


class Space(NamedTuple):
    """Name a vector space: vectors of two spaces are never compared."""

    model: str
    dimensions: int


def local_model(directory: str = "", cache_folder: Path | None = None) -> TextEncoder:
    """Return the encoder of a folder, or the built-in one, loaded once a process."""
    with _loading:
        if directory not in _models:
            folder = cache_folder or settings().models
            _models[directory] = TextEncoder(_checkpoint(directory), folder)
            let_go(folder)  # most weights have been copied to where they are multiplied from
        return _models[directory]


@cache
def _checkpoint(directory: str) -> Checkpoint:
    return read_checkpoint(Path(directory).expanduser()) if directory else bundled()


@cache
def _mapped(folder: Path) -> MappedFolder:
    return MappedFolder(folder)


async def _compute(directory: str, purpose: Purpose, asker: UUID | None, texts: Sequence[str]) -> Vectors:
    if asker and not directory and len(texts) == 1:  # the question is read again soon, to judge what was found
        return (await _read(texts, asker))[0].vector[None]
    _mapped(settings().models).use()
    run = asyncio.get_running_loop().run_in_executor
    return await run(_lane(purpose), lambda: local_model(directory).embed(texts))


async def _read(texts: Sequence[str], tenant_id: UUID) -> Sequence[Encoded]:
    """Read texts in one run of the built-in model, unless the tenant has had just that read of late."""
    kept = _recent.get(tenant_id, texts)
    if kept is None:
        _mapped(settings().models).use()
        kept = await asyncio.get_running_loop().run_in_executor(_lane("query"), _read_now, texts)
        _recent.put(tenant_id, texts, kept)
    return kept


def _read_now(texts: Sequence[str]) -> list[Encoded]:
    return local_model().read(texts)


@cache
def _lane(purpose: Purpose) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(LANES[purpose], f"embed-{purpose}")


class Embedder(Block):
    """Turn texts into L2-normalised vectors of one space; it makes one attempt, the task above owns the retries."""

    _block_type_name = "KowAI Embedder"
    _block_type_slug = "kowai-embedder"
    _documentation_url = HttpUrl("https://docs.prefect.io/v3/concepts/blocks")
    _description = "The model that documents and questions are compared by. Another model is another vector space."

    provider: Literal["minilm", "directory", "openai"] = Field(
        default="minilm", title="Provider", description="Built in, a folder on disk, or an OpenAI-compatible endpoint."
    )
    directory: str = Field(
        default="", title="Directory", description="For 'directory': a sentence encoder in Hugging Face layout."
    )
    endpoint: str = Field(
        default="", title="Endpoint", description="For 'openai': base URL such as http://host:8080/v1."
    )
    model: str = Field(default="", title="Model", description="For 'openai': the name the endpoint serves it by.")
    api_key: SecretStr = Field(default=SecretStr(""), title="API key", description="Sent as a bearer token.")
    dimensions: int | None = Field(
        default=None, gt=0, title="Dimensions", description="For 'openai': the length of its vectors, which is checked."
    )
    ask_for_dimensions: bool = Field(
        default=True,
        title="Ask for dimensions",
        description="For 'openai': send the length along; off for models that have but one and refuse to be asked.",
    )
    batch_size: int = Field(default=64, gt=0, le=2048, title="Batch size", description="Texts per call of an endpoint.")
    timeout_seconds: float = Field(default=60.0, gt=0, title="Timeout", description="Seconds to wait for one call.")
    price: Decimal | None = Field(
        default=None,
        ge=0,
        title="Price",
        description="For 'openai': US dollars per million tokens; 0 for a model of your own; empty: as published.",
    )
    allow_unknown_price: bool = Field(
        default=False,
        title="Allow an unknown price",
        description="Call it although no price is known: such calls cannot be counted against a limit.",
    )
    query_prefix: str = Field(
        default="", title="Query prefix", description="Put before questions, as E5 and BGE want it."
    )
    document_prefix: str = Field(default="", title="Document prefix", description="Put before documents.")

    @property
    def space(self) -> Space:
        """Return the space this embedder's vectors live in. Raises Misconfigured when that is not known."""
        prefixes = f"{self.query_prefix}|{self.document_prefix}".strip("|")
        suffix = f" ({prefixes})" if prefixes else ""
        if self.provider != "openai":
            checkpoint = _checkpoint(self._folder())
            return Space(checkpoint.name + suffix, checkpoint.dimensions)
        if not self.endpoint or not self.model or self.dimensions is None:
            raise Misconfigured("The embedder block lacks endpoint, model or dimensions.")
        return Space(self.model + suffix, self.dimensions)

    async def embed(self, texts: Sequence[str], *, purpose: Purpose, asker: UUID | None = None) -> Vectors:
        """Return one row a text, shape (n, dimensions); a single question of the tenant `asker` is read once.

        Raises EmbedderFailed, EmbedderRefused or Misconfigured.
        """
        if self.provider == "openai":
            return (await self.embed_counted(texts, purpose)).vectors
        asked, space, size = self.prefixed(texts, purpose), self.space, LOCAL_BATCH
        embed = partial(_compute, self._folder(), purpose, asker)
        rows = [await embed(asked[start : start + size]) for start in range(0, len(asked), size)]
        return np.concatenate(rows) if rows else np.zeros((0, space.dimensions), np.float32)

    async def embed_counted(self, texts: Sequence[str], purpose: Purpose) -> Embedded:
        """Return an endpoint's vectors with the tokens it reports, None where it does not. Raises as `embed` does."""
        asked, nothing = self.prefixed(texts, purpose), np.zeros((0, self.space.dimensions), np.float32)
        replies = [await self.ask(asked[at : at + self.batch_size]) for at in range(0, len(asked), self.batch_size)]
        counts = [reply.tokens for reply in replies]
        known = [count for count in counts if count is not None]
        rows = np.concatenate([nothing, *(reply.vectors for reply in replies)])
        return Embedded(rows, sum(known) if len(known) == len(counts) else None)

    def prefixed(self, texts: Sequence[str], purpose: Purpose) -> list[str]:
        """Return the texts as the model gets them."""
        prefix = self.query_prefix if purpose == "query" else self.document_prefix
        return [prefix + text for text in texts]

    async def ask(self, texts: Sequence[str]) -> Embedded:
        """Call the endpoint once, for as many prefixed texts as `batch_size` at most. Raises as `embed` does."""
        url, key = f"{self.endpoint.rstrip('/')}/embeddings", self.api_key.get_secret_value()
        settings = (self.space.dimensions, self.ask_for_dimensions, self.timeout_seconds)
        return await Endpoint(url, self.model, key, *settings).embed(texts)

    async def read(self, question: str, sentences: Sequence[str], tenant_id: UUID) -> list[Encoded] | None:
        """Return vectors with the states of tokens, the question's first; two processors share the sentences.

        None unless the model is the built-in one and texts come bare.
        """
        if self.provider != "minilm" or self.document_prefix:
            return None
        middle = len(sentences) // 2
        runs = [run for run in ([question], sentences[:middle], sentences[middle:]) if run]
        return [*itertools.chain(*await asyncio.gather(*(_read(run, tenant_id) for run in runs)))]

    async def count_tokens(self, texts: Sequence[str]) -> int | None:
        """Return how many tokens the model reads; None for an endpoint, whose tokenizer is its own."""
        if self.provider == "openai":
            return None
        model = local_model(self._folder())
        return sum(await asyncio.to_thread(model.count_tokens, texts))

    def _folder(self) -> str:
        if self.provider == "directory" and not self.directory:
            raise Misconfigured("The embedder block names no directory.")
        return self.directory if self.provider == "directory" else ""


# Blocks to begin with, by name: BGE-M3 as text-embeddings-inference, vLLM or Ollama serve it, and OpenAI's model at the
# same length. The first is your own and costs nothing. Each is a space of its own, and `kowai reindex --embedder NAME`
# moves the knowledge to it.
PRESETS: dict[str, Embedder] = {
    "bge-m3": Embedder(
        provider="openai",
        endpoint="http://127.0.0.1:8080/v1",
        model="BAAI/bge-m3",
        dimensions=1024,
        ask_for_dimensions=False,
        price=Decimal(0),
    ),
    "openai-large": Embedder(
        provider="openai", endpoint="https://api.openai.com/v1", model="text-embedding-3-large", dimensions=1024
    ),
}
