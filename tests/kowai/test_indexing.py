"""Chunks become columns, and their words are those of all that is said of them."""

from uuid import uuid4

import pytest

from kowai.indexing import IndexedDocument, chunk_columns, embedded_text, word_columns
from kowai.types import Chunk

FIRST = Chunk(0, 0, 9, 1, "Risks > Oil", "Oil price")
SECOND = Chunk(1, 9, 12, None, "", "Tea")


def test_chunks_of_several_documents_are_numbered_through() -> None:
    one = IndexedDocument(uuid4(), 1, "Report", [FIRST], ["v1"])
    other = IndexedDocument(uuid4(), 4, None, [SECOND], ["v2"])
    chunks, words = chunk_columns([one, other]), word_columns([one, other])
    assert chunks.document_id == [one.document_id, other.document_id]
    assert (chunks.version, chunks.page, chunks.embedding) == ([1, 4], [1, None], ["v1", "v2"])
    assert (words.chunk[-1], words.words[words.word[-1] - 1], words.times[-1]) == (2, "tea", 1)


def test_title_and_headings_count_as_words_of_the_chunk() -> None:
    words = word_columns([IndexedDocument(uuid4(), 1, "Report", [FIRST], ["v1"])])
    assert {"report", "risks", "oil", "price"} == set(words.words)


def test_a_chunk_without_its_vector_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="shorter"):
        chunk_columns([IndexedDocument(uuid4(), 1, None, [FIRST], [])])


def test_a_chunk_is_embedded_with_what_it_is_about() -> None:
    assert embedded_text("Report", FIRST) == "Report\nRisks > Oil\nOil price"
    assert embedded_text(None, SECOND) == "Tea"
