"""Documents that say almost the same, by MinHash (Broder 1997) in bands (Mining of Massive Datasets, chapter 3).

A sketch costs one pass over the words; documents are compared with those only that share a band of it. With 16 bands of
8 hashes that is half of the pairs of likeness 0.67, and 9,999 of 10,000 pairs of likeness 0.9.
"""

import re
from hashlib import sha256
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

LIKE = 0.9  # of the runs of five words that either document has, those that both have
SHINGLE, HASHES, BANDS = 5, 128, 16
BLOCK = 4096  # shingles hashed at once: 4 MB
MOST_WORDS = 500_000

_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")
_DRAWN = np.random.default_rng(1997).integers(1, 2**63, (2, HASHES), np.uint64)
_FACTORS, _SHIFTS = _DRAWN[0] | np.uint64(1), _DRAWN[1]
_PLACES = np.random.default_rng(2000).integers(1, 2**63, SHINGLE, np.uint64) | np.uint64(1)
_HALF = np.uint64(32)

Signatures = NDArray[np.uint32]


class Sketch(NamedTuple):
    """Hold what stands for a text: the hash of its words, the least of each of 128 hashes, and a number a band."""

    text_hash: str
    signature: bytes
    bands: list[int]


def words(text: str) -> list[str]:
    """Return words as they are compared: without case and punctuation, each character of unspaced scripts alone."""
    return _WORD.findall(text.casefold())


def sketched(text: str) -> Sketch:
    """Return the sketch of a text, its likeness by its first half million words."""
    said = words(text)
    least = np.full(HASHES, 2**32 - 1, np.uint32)
    hashes = _shingles(said[:MOST_WORDS])
    for start in range(0, len(hashes), BLOCK):
        mixed = (hashes[start : start + BLOCK, None] * _FACTORS + _SHIFTS) >> _HALF
        least = np.minimum(least, mixed.min(axis=0).astype(np.uint32))
    rows = least.reshape(BANDS, -1)
    bands = [number << 32 | crc32(row.tobytes()) for number, row in enumerate(rows)]
    return Sketch(sha256(" ".join(said).encode(errors="replace")).hexdigest(), least.tobytes(), bands)


def _shingles(said: list[str]) -> NDArray[np.uint64]:
    """Return a hash of every run of five words; a shorter text is one run."""
    ids = np.array([crc32(word.encode(errors="replace")) for word in said], np.uint64)
    if len(ids) < SHINGLE:
        ids = np.concatenate([ids, np.zeros(SHINGLE - len(ids), np.uint64)])
    runs = np.lib.stride_tricks.sliding_window_view(ids, SHINGLE)
    mixed: NDArray[np.uint64] = (runs * _PLACES).sum(axis=1, dtype=np.uint64)
    return mixed ^ (mixed >> _HALF)


def signatures(stored: list[bytes]) -> Signatures:
    """Return signatures as one matrix, shape (n, 128)."""
    return np.frombuffer(b"".join(stored), np.uint32).reshape(-1, HASHES)


def likeness(known: Signatures, signature: bytes) -> NDArray[np.floating[Any]]:
    """Estimate the Jaccard similarity to each of the known, shape (n,), with a standard error of 0.03 at 0.9."""
    return (known == np.frombuffer(signature, np.uint32)).mean(axis=1)
