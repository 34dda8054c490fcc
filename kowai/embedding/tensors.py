"""Weights from a safetensors file: eight bytes of header length, a JSON header, then the numbers."""

import json
from collections.abc import Iterator
from hashlib import file_digest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kowai.errors import Misconfigured

Tensors = dict[str, NDArray[np.float32]]

LARGEST_HEADER = 100_000_000
READ_AS = {"F32": np.float32, "F16": np.float16, "BF16": np.uint16}
ANCHOR = "embeddings.word_embeddings.weight"


def read_tensors(path: Path, digest: str | None = None) -> Tensors:
    """Return the floating-point tensors as float32, by their names inside the encoder.

    Raises Misconfigured when the file is damaged, or not the one with the SHA-256 `digest`.
    """
    if digest and _digest(path) != digest:
        raise Misconfigured(f"{path} is not the file that was published: install its package again.")
    try:
        raw = np.memmap(path, np.uint8, "r")
        tensors = dict(_tensors(raw))
        prefix = next(name for name in tensors if name.endswith(ANCHOR)).removesuffix(ANCHOR)
    except (ValueError, KeyError, TypeError, StopIteration) as error:
        raise Misconfigured(f"{path} cannot be read as the weights of a BERT encoder.", operator=repr(error)) from error
    return within(tensors, prefix)


def within(tensors: Tensors, prefix: str) -> Tensors:
    """Return the tensors whose names begin with `prefix`, by the rest of their names."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _tensors(raw: NDArray[np.uint8]) -> Iterator[tuple[str, NDArray[np.float32]]]:
    length = int.from_bytes(raw[:8].tobytes(), "little")
    if not 0 < length <= min(LARGEST_HEADER, len(raw) - 8):
        raise ValueError("the header is cut short")
    header: dict[str, dict[str, Any]] = json.loads(raw[8 : 8 + length].tobytes())
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] in READ_AS:
            start, end = (8 + length + offset for offset in entry["data_offsets"])
            if end > len(raw):
                raise ValueError(f"{name} is cut short")
            numbers = raw[start:end].view(READ_AS[entry["dtype"]])
            if entry["dtype"] == "BF16":  # the upper half of a float32
                numbers = (numbers.astype(np.uint32) << 16).view(np.float32)
            yield name, np.asarray(numbers, np.float32).reshape(entry["shape"])
