"""What turns text into vectors: the built-in model, a folder on disk, or an OpenAI-compatible endpoint."""

import asyncio
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import httpx
import numpy as np
from numpy.typing import NDArray
from prefect.blocks.core import Block
from pydantic import Field, HttpUrl, SecretStr

from kowai.embedding.checkpoint import bundled, read_checkpoint
from kowai.embedding.encoder import TextEncoder
from kowai.errors import EmbedderFailed, EmbedderRefused, Misconfigured
from kowai.settings import settings

LOCAL_BATCH = 16  # small, so that a question never waits long behind a document
TRY_LATER = frozenset((408, 409, 425, 429))

Purpose = Literal["query", "document"]
Vectors = NDArray[np.float32]


class Space(NamedTuple):
    """Name a vector space: vectors of two spaces are never compared."""

    model: str
    dimensions: int


@cache
def local_model(directory: str = "") -> TextEncoder:
    """Return the encoder of a folder, or the built-in one, loaded once a process."""
    checkpoint = read_checkpoint(Path(directory).expanduser()) if directory else bundled()
    return TextEncoder(checkpoint, settings().state.expanduser().absolute() / "models")


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
        default=None,
        gt=0,
        title="Dimensions",
        description="For 'openai': the length of its vectors, asked for and checked.",
    )
    batch_size: int = Field(default=64, gt=0, le=2048, title="Batch size", description="Texts per call of an endpoint.")
    timeout_seconds: float = Field(default=60.0, gt=0, title="Timeout", description="Seconds to wait for one call.")
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
            checkpoint = read_checkpoint(self._folder()) if self.provider == "directory" else bundled()
            return Space(checkpoint.name + suffix, checkpoint.dimensions)
        if not self.endpoint or not self.model or self.dimensions is None:
            raise Misconfigured("The embedder block lacks endpoint, model or dimensions.")
        return Space(self.model + suffix, self.dimensions)

    async def embed(self, texts: Sequence[str], *, purpose: Purpose) -> Vectors:
        """Return one row a text, shape (n, dimensions). Raises EmbedderFailed, EmbedderRefused or Misconfigured."""
        prefix = self.query_prefix if purpose == "query" else self.document_prefix
        asked = [prefix + text for text in texts]
        if self.provider == "openai":
            return await self._embed_remotely(asked)
        model = await asyncio.to_thread(local_model, str(self._folder()) if self.provider == "directory" else "")
        batches = [asked[start : start + LOCAL_BATCH] for start in range(0, len(asked), LOCAL_BATCH)]
        rows = [await asyncio.to_thread(model.embed, batch) for batch in batches]
        return np.concatenate(rows) if rows else np.zeros((0, model.dimensions), np.float32)

    def _folder(self) -> Path:
        if not self.directory:
            raise Misconfigured("The embedder block names no directory.")
        return Path(self.directory).expanduser()

    async def _embed_remotely(self, texts: Sequence[str]) -> Vectors:
        space, size = self.space, self.batch_size
        headers = {"Authorization": f"Bearer {key}"} if (key := self.api_key.get_secret_value()) else {}
        async with httpx.AsyncClient(timeout=self.timeout_seconds, headers=headers) as client:
            batches = [texts[start : start + size] for start in range(0, len(texts), size)]
            rows = [await self._ask(client, batch, space) for batch in batches]
        return np.concatenate(rows) if rows else np.zeros((0, space.dimensions), np.float32)

    async def _ask(self, client: httpx.AsyncClient, texts: Sequence[str], space: Space) -> Vectors:
        body = {"model": self.model, "input": list(texts), "dimensions": self.dimensions, "encoding_format": "float"}
        try:
            response = await client.post(f"{self.endpoint.rstrip('/')}/embeddings", json=body)
            response.raise_for_status()
            data: list[dict[str, Any]] = sorted(response.json()["data"], key=lambda item: item["index"])
            vectors = np.array([item["embedding"] for item in data], np.float32)
        except httpx.HTTPStatusError as error:
            status = error.response.status_code
            kind = EmbedderFailed if status in TRY_LATER or status >= 500 else EmbedderRefused
            raise kind(f"The embedder answered {status}.", operator=error.response.text[:500]) from error
        except httpx.HTTPError as error:
            raise EmbedderFailed("The embedder cannot be reached.", operator=repr(error)) from error
        except (ValueError, KeyError, TypeError) as error:
            raise EmbedderRefused("The embedder's reply cannot be understood.", operator=repr(error)) from error
        return _checked(vectors, len(texts), space)


def _checked(vectors: Vectors, count: int, space: Space) -> Vectors:
    """Return the rows L2-normalised. Raises EmbedderRefused for rows that are missing, too long or not numbers."""
    if vectors.shape != (count, space.dimensions) or not np.isfinite(vectors).all():
        raise EmbedderRefused(
            f"The embedder sent vectors of shape {vectors.shape} instead of {(count, space.dimensions)}."
        )
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
