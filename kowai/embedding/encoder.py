"""Texts to unit vectors on this computer."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from kowai.embedding.checkpoint import Checkpoint
from kowai.embedding.encoders import open_encoder

# Long and varied enough to show whether this processor's eight-bit arithmetic can be trusted.
SAMPLE = (
    "The expedition left the harbour at dawn, crossed forty miles of open water against a northerly wind, and reached "
    "the island before the storm; its botanists, two engineers and one reluctant physician then spent eleven weeks "
    "mapping glaciers, counting seabirds, repairing instruments, and arguing about supplies, salaries and the weather."
)

Vectors = NDArray[np.float32]


class TextEncoder:
    """Embed texts, each by itself and cut after `checkpoint.max_tokens`, on `threads` processors; thread-safe."""

    def __init__(self, checkpoint: Checkpoint, cache: Path, threads: int | None = None) -> None:
        self.dimensions = checkpoint.dimensions
        self._tokenizer = cast("Any", Tokenizer.from_file(str(checkpoint.tokenizer)))
        self._tokenizer.enable_truncation(checkpoint.max_tokens)
        self._tokenizer.no_padding()
        self._encode = open_encoder(checkpoint, cache, self._ids([SAMPLE])[0])
        self._workers = ThreadPoolExecutor(threads or _processors(), "embedder")

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one L2-normalised row a text, shape (n, dimensions), in the order given."""
        rows = list(self._workers.map(self._encode, self._ids(texts)))
        return np.stack(rows) if rows else np.zeros((0, self.dimensions), np.float32)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens of each text are embedded."""
        return [len(ids) for ids in self._ids(texts)]

    def _ids(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        return [np.array(encoding.ids, np.int64) for encoding in self._tokenizer.encode_batch(list(texts))]


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
