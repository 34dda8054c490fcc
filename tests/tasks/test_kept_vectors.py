"""Vectors of fixed texts are computed once a state directory, and again when their file is broken."""

from uuid import UUID

import numpy as np
import pytest

from blocks.database import Database
from kowai.settings import settings
from tasks import metered
from tasks.kept_vectors import kept_vectors

TEXTS = ("How long?", "How far?")


async def test_the_second_time_nothing_is_computed(
    store: Database, tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, space, *_ = await metered.embed(TEXTS, tenant, purpose="document")
    first = await kept_vectors(TEXTS, space, tenant)
    monkeypatch.delattr(metered, "embed")
    assert np.array_equal(await kept_vectors(TEXTS, space, tenant), first)


@pytest.mark.parametrize("content", [b"", b"broken", b"\x93NUMPY"])
async def test_a_broken_file_is_written_anew(store: Database, tenant: UUID, content: bytes) -> None:
    _, space, *_ = await metered.embed(TEXTS, tenant, purpose="document")
    first = await kept_vectors(TEXTS, space, tenant)
    (path,) = settings().models.glob("vectors-*.npy")
    path.write_bytes(content)
    assert np.array_equal(await kept_vectors(TEXTS, space, tenant), first)
    assert np.array_equal(np.load(path), first)
