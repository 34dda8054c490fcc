"""Texts to vectors without a server and without torch: all-MiniLM-L6-v2, or another model of its kind."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from kowai.embedding.checkpoint import bundled, read_checkpoint
from kowai.embedding.encoders import open_encoder
from kowai.errors import Misconfigured

FEW_TEXTS = 8  # so few are embedded at once on the caller's thread, before the hundreds that wait for a worker
SAMPLE = """
In the year after the flood the town rebuilt its bridge of stone, since timber had failed twice before. Masons came
from three valleys, paid in grain and salt; children carried water, and every evening someone read the accounts aloud.
What remains today? Four arches, a worn inscription, and 1,204 receipts that historians still argue about.
"""


class MiniLM:
    """Embed texts with the built-in model, or the one in the folder `source`; graphs are kept in the folder `cache`.

    A text beyond `max_tokens` is cut off there, as the model was trained. Raises Misconfigured for a `source` that
    is not understood.
    """

    def __init__(self, cache: Path, threads: int | None = None, source: Path | None = None) -> None:
        checkpoint = read_checkpoint(source) if source else bundled()
        self.name = checkpoint.name
        self.dimensions = checkpoint.dimensions
        self.max_tokens = checkpoint.max_tokens
        self._tokenizer = _tokenizer(checkpoint.tokenizer)
        self._encode = open_encoder(checkpoint, cache, self._ids(SAMPLE))
        self._workers = ThreadPoolExecutor(threads or os.cpu_count(), "embedding")

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one L2-normalised row a text, shape (n, dimensions); any number of threads may call it at once."""
        spread = map if len(texts) <= FEW_TEXTS else self._workers.map
        return np.array(list(spread(self._vector, texts)), np.float32).reshape(-1, self.dimensions)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has, the two special ones included, before anything is cut off."""
        return [len(self._tokens(text)) for text in texts]

    def _vector(self, text: str) -> NDArray[np.float32]:
        return self._encode(self._ids(text))

    def _ids(self, text: str) -> NDArray[np.int64]:
        tokens = self._tokens(text)
        if len(tokens) > self.max_tokens:
            tokens = [*tokens[: self.max_tokens - 1], tokens[-1]]  # the last one closes the text
        return np.array(tokens, np.int64)

    def _tokens(self, text: str) -> list[int]:
        return self._tokenizer.encode(text.encode("utf-8", "replace").decode()).ids  # half a surrogate pair is no text


def _tokenizer(path: Path) -> Any:
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise Misconfigured(f"{path} cannot be read as a tokenizer.", operator=str(error)) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
