"""A batch holds many short documents or few long ones."""

import pytest

from kowai.batching import CHUNKS, LEAST, MOST, batch_of


@pytest.mark.parametrize(
    ("chunks", "size"),
    [([], MOST), ([0, 0], MOST), ([1] * 32, MOST), ([4] * 32, CHUNKS // 4), ([10, 6], CHUNKS // 8), ([9_000], LEAST)],
)
def test_short_documents_make_large_batches_and_long_ones_small(chunks: list[int], size: int) -> None:
    assert batch_of(chunks) == size
