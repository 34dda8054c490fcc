from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kowai.chunking import chunk
from kowai.types import Heading, LoadedDocument, PageSpan

WORDS = ["word", "a", "Sentence.", "\n", "\n\n", " ", "# H", "```", "| x |", "漢字", "🙂", "é", "-", "\t", " " * 150]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=400).map(" ".join) | st.text(max_size=500)
SENTENCE = "The quick brown fox jumps over the lazy dog near the river bank. "


def plain(text: str, media_type: str = "text/plain") -> LoadedDocument:
    return LoadedDocument(text=text, media_type=media_type)


@given(TEXTS, st.sampled_from(["text/plain", "text/markdown"]), st.integers(1, 60), st.integers(0, 59))
def test_chunks_are_exact_bounded_ordered_and_miss_nothing_but_white_space(
    text: str, media_type: str, size: int, overlap: int
) -> None:
    chunks = chunk(plain(text, media_type), size, min(overlap, size - 1))
    covered: set[int] = set()
    for ordinal, piece in enumerate(chunks):
        assert piece.ordinal == ordinal
        assert piece.text == text[piece.start : piece.end]
        assert 0 < len(piece.text) <= size
        covered.update(range(piece.start, piece.end))
    assert [piece.start for piece in chunks] == sorted(piece.start for piece in chunks)
    assert all(character.isspace() or index in covered for index, character in enumerate(text))


@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_a_chunk_stays_on_the_page_it_names(texts: list[str]) -> None:
    spans: list[PageSpan] = []
    start = 0
    for number, text in enumerate(texts, 1):
        spans.append(PageSpan(number, start, start + len(text)))
        start += len(text) + 2
    document = LoadedDocument(text="\n\n".join(texts), media_type="application/pdf", pages=tuple(spans))
    for piece in chunk(document, 50, 10):
        span = spans[(piece.page or 0) - 1]
        assert span.start <= piece.start < piece.end <= span.end


def test_neighbouring_chunks_of_a_long_paragraph_share_whole_sentences() -> None:
    chunks = chunk(plain(SENTENCE * 100))
    assert len(chunks) > 5
    for former, latter in pairwise(chunks):
        assert 0 < former.end - latter.start <= 200
        assert latter.text.startswith("The quick")
        assert former.text.endswith("bank.")


def test_windows_do_not_show_in_the_chunks_of_a_long_text() -> None:
    text = "".join(f"Paragraph {number} says: {SENTENCE * (number % 7)}\n\n" for number in range(300))
    whole = chunk(plain(text), 1000, 0)
    assert len(text) > 50_000
    assert all(piece.text.endswith(".") or piece.text.endswith(":") for piece in whole)
    assert max(len(piece.text) for piece in whole[:-1]) > 800


def test_a_short_document_is_one_chunk_and_a_blank_one_none() -> None:
    assert [piece.text for piece in chunk(plain(" short "))] == ["short"]
    assert chunk(plain(" \n ")) == []


def test_a_chunk_knows_the_path_of_headings_it_stands_under() -> None:
    text = "Guide\n" + SENTENCE * 3 + "\n\n\nInstall\n" + SENTENCE * 3 + "\n\n\nUse\n" + SENTENCE * 3
    headings = (
        Heading(1, "Guide", 0),
        Heading(3, "Install", text.index("Install")),
        Heading(2, "Use", text.index("Use")),
    )
    document = LoadedDocument(text=text, media_type="text/html", headings=headings)
    assert [piece.heading_path for piece in chunk(document, 250, 0)] == ["Guide", "Guide > Install", "Guide > Use"]


def test_text_above_the_first_heading_has_no_path() -> None:
    document = LoadedDocument(text="before\n\nTitle", media_type="text/html", headings=(Heading(1, "Title", 8),))
    assert [piece.heading_path for piece in chunk(document, 8, 0)] == ["", "Title"]


def test_a_code_block_that_fits_is_not_cut() -> None:
    code = "```python\n" + "x = 1\n" * 30 + "```"
    document = plain(f"# Title\n\n{SENTENCE * 4}\n\n{code}\n\n{SENTENCE * 4}", "text/markdown")
    assert any(code in piece.text for piece in chunk(document, 300, 0))


@pytest.mark.parametrize(
    "text",
    ["a" * 200_000, "漢字" * 20_000, "\n" * 99_999 + "a", "a\n" * 50_000, " \n" * 50_000 + "a", "\u2028" * 9_999],
)
@pytest.mark.parametrize("media_type", ["text/plain", "text/markdown"])
def test_texts_without_structure_take_time_in_proportion_to_their_length(text: str, media_type: str) -> None:
    assert sum(len(piece.text) for piece in chunk(plain(text, media_type))) >= len("".join(text.split()))
