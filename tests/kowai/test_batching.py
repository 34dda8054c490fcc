"""A batch holds many short documents or few long ones."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kowai.batching import CHUNKS, LEAST, MOST, TOGETHER, batch_of, portions


@pytest.mark.parametrize(
    ("chunks", "size"),
    [([], MOST), ([0, 0], MOST), ([1] * 32, MOST), ([4] * 32, CHUNKS // 4), ([10, 6], CHUNKS // 8), ([9_000], LEAST)],
)
def test_short_documents_make_large_batches_and_long_ones_small(chunks: list[int], size: int) -> None:
    assert batch_of(chunks) == size


@given(st.lists(st.integers(0, 2 * TOGETHER)))
def test_portions_hold_every_document_once_in_order_and_no_more_chunks_than_fit(chunks: list[int]) -> None:
    cut = [chunks[portion] for portion in portions(chunks)]
    assert [count for portion in cut for count in portion] == chunks
    assert all(len(portion) == 1 or sum(portion) <= TOGETHER for portion in cut)
    assert all(sum(one) + other[0] > TOGETHER for one, other in pairwise(cut))
