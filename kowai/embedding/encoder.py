"""Texts to unit vectors on this computer, without a server and without torch."""

import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from kowai.embedding.checkpoint import Checkpoint
from kowai.embedding.sessions import BuiltGraph, open_session
from kowai.embedding.states import Encoded
from kowai.errors import Misconfigured

POLITE = 5
MOST_WINDOWS = 32  # about as many tokens as OpenAI's models read of one text
FEW_TEXTS = 8  # so few run on the caller's thread, ahead of the hundreds that wait for a worker
# Long and varied enough to show whether this processor's eight-bit arithmetic can be trusted.
SAMPLE = (
    "The expedition left the harbour at dawn, crossed forty miles of open water against a northerly wind, and reached "
    "the island before the storm; its botanists, two engineers and one reluctant physician then spent eleven weeks "
    "mapping glaciers, counting seabirds, repairing instruments, and arguing about supplies, salaries and the weather."
)

Vectors = NDArray[np.float32]


class TextEncoder:
    """Embed texts on `threads` processors. A text of more than `max_tokens` is read in windows of equal length.

    Its vector is the mean of theirs, so that all of it counts, whatever the script, up to MOST_WINDOWS; one that fits
    has the reference model's vector. The graph is kept in the folder `cache`. Raises Misconfigured for a model that
    cannot be run.
    """

    def __init__(self, checkpoint: Checkpoint, cache: Path, threads: int | None = None) -> None:
        self.dimensions = checkpoint.dimensions
        self.max_tokens = checkpoint.max_tokens
        self._tokenizer = _tokenizer(checkpoint.tokenizer)
        self._encode = open_session(checkpoint, cache, self._ids(SAMPLE))
        self._workers = ThreadPoolExecutor(threads or _processors(), "encoder", _step_back)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one L2-normalised row a text, shape (n, dimensions); any number of threads may call it at once."""
        vectors = map(self._embed, texts) if len(texts) <= FEW_TEXTS else self._workers.map(self._embed, texts)
        return np.array(list(vectors), np.float32).reshape(-1, self.dimensions)

    def read(self, texts: Sequence[str]) -> list[Encoded]:
        """Return the vectors of a few texts with the states of their tokens, of the first `max_tokens` only.

        Raises Misconfigured for a graph that was exported ready: it keeps its states to itself.
        """
        if not isinstance(self._encode, BuiltGraph):
            raise Misconfigured("An exported model.onnx does not show the states of its tokens.")
        tokens, most = [self._encoding(text) for text in texts], self.max_tokens
        ids = [np.array(each.ids, np.int64) for each in tokens]
        read = self._encode.states([one[:most] for one in ids])
        found: list[Encoded] = []
        for whole, each, (vector, states) in zip(ids, tokens, read, strict=True):
            offsets = np.reshape(each.offsets, (-1, 2))[:most]
            vector = vector if len(whole) <= most else self._vector(whole)
            found.append(Encoded(vector, offsets, states, whole[:most]))
        return found

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has, its two special ones included."""
        return [len(self._tokens(text)) for text in texts]

    def _embed(self, text: str) -> Vectors:
        return self._vector(self._ids(text))

    def _vector(self, ids: NDArray[np.int64]) -> Vectors:
        if len(ids) <= self.max_tokens:
            return self._encode(ids)
        mean = np.mean([self._encode(window) for window in windows(ids, self.max_tokens)], axis=0)
        return mean / np.linalg.norm(mean)

    def _ids(self, text: str) -> NDArray[np.int64]:
        return np.array(self._tokens(text), np.int64)

    def _tokens(self, text: str) -> list[int]:
        return self._encoding(text).ids

    def _encoding(self, text: str) -> Any:
        whole = text.encode("utf-8", "replace").decode()  # half a surrogate pair is no character
        return self._tokenizer.encode(whole)


def windows(ids: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """Cut a text into the fewest windows of at most `size` tokens; each begins and ends as the whole text does."""
    inner = ids[1:-1][: MOST_WINDOWS * (size - 2)]
    pieces = np.array_split(inner, -(-len(inner) // (size - 2)))
    return [np.concatenate([ids[:1], piece, ids[-1:]]) for piece in pieces]


def _tokenizer(path: Path) -> Any:
    try:
        tokenizer: Any = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise Misconfigured(f"{path} cannot be read as a tokenizer.", operator=str(error)) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _step_back() -> None:
    """Let questions go first on a busy processor; elsewhere than on Linux this would slow the whole process."""
    if sys.platform == "linux":
        os.nice(POLITE)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
