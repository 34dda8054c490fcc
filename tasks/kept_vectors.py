"""Vectors of texts that never change, kept in the state directory so that each is computed once."""

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import numpy as np

from blocks.embedder import Space
from kowai.settings import settings
from tasks import metered

DIGITS = 16


async def kept_vectors(texts: Sequence[str], space: Space, tenant_id: UUID) -> metered.Vectors:
    """Return one unit vector a text, shape (n, dimensions): from disk, or computed for the tenant and put there."""
    digest = hashlib.sha256("\0".join([space.model, *texts]).encode()).hexdigest()[:DIGITS]
    path = settings().models / f"vectors-{digest}.npy"
    with suppress(OSError, ValueError, EOFError):  # absent, or not whole
        kept = np.load(path, allow_pickle=False)
        if kept.shape == (len(texts), space.dimensions):
            return kept
    vectors = (await metered.embed(texts, tenant_id, purpose="document")).vectors
    with suppress(OSError):  # without room on the disk they are computed again
        _publish(vectors, path)
    return vectors


def _publish(vectors: metered.Vectors, path: Path) -> None:
    """Write the file under its name in one step: another process may be reading or writing the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("wb") as file:
        np.save(file, vectors)
    draft.replace(path)
