import io
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook

from kowai.chunking import chunk
from kowai.grids import grids
from kowai.loaders.delimited import load as load_csv
from kowai.loaders.html import load as load_html
from kowai.loaders.markdown import load as load_markdown
from kowai.loaders.sheets import load as load_sheets
from kowai.types import Chunk, Heading, LoadedDocument, PageSpan

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


def test_every_code_block_that_fits_is_whole_in_a_chunk_of_a_long_document() -> None:
    codes = ["```python\n" + f"x{n} = {n}\n\n" * (n % 9 + 1) + "```" for n in range(120)]
    text = "\n\n".join(f"{SENTENCE * (n % 5 + 1)}\n\n{code}" for n, code in enumerate(codes))
    chunks = chunk(plain(text, "text/markdown"), 500, 100)
    assert [code for code in codes if not any(code in piece.text for piece in chunks)] == []


def test_sentences_that_fit_are_whole_in_a_chunk() -> None:
    sentences = [f"Sentence {n} says {'very ' * (n % 17)}little." for n in range(300)]
    chunks = chunk(plain(" ".join(sentences)), 400, 80)
    assert [sentence for sentence in sentences if not any(sentence in piece.text for piece in chunks)] == []


def rows_of(loaded: LoadedDocument, rows: list[str]) -> list[Chunk]:
    """Return the chunks that hold rows, every row whole in one of them."""
    chunks = chunk(loaded, 300, 60)
    assert [row for row in rows if not any(row in piece.text for piece in chunks)] == []
    assert all(loaded.text[piece.start : piece.end] == piece.text for piece in chunks)
    return [piece for piece in chunks if any(row in piece.text for row in rows)]


TEAS = [("Tea", "Minutes", "Origin"), *((f"Tea {n}", f"{n} min", f"Hill {n}") for n in range(60))]


def test_every_chunk_of_a_markdown_table_knows_its_columns_and_what_follows_it_does_not() -> None:
    rows = ["| " + " | ".join(row) + " |" for row in TEAS]
    table = "\n".join([rows[0], "|---|:--:|---|", *rows[1:]])
    loaded = load_markdown(f"# Teas\n\n{SENTENCE}\n\n{table}\n\n{SENTENCE * 5}".encode(), "a.md")
    held = rows_of(loaded, rows[1:])
    assert len(held) > 5
    for piece in held:
        assert piece.heading_path == "Teas > Tea | Minutes | Origin" or rows[0] in piece.text
    assert chunk(loaded, 300, 60)[-1].heading_path == "Teas"


def test_every_chunk_of_an_html_table_knows_its_columns() -> None:
    cells = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in TEAS)
    loaded = load_html(f"<h1>Teas</h1><p>{SENTENCE}</p><table>{cells}</table><p>{SENTENCE * 5}</p>".encode(), "a.html")
    for piece in rows_of(loaded, [" | ".join(row) for row in TEAS[1:]]):
        assert piece.heading_path.endswith("Tea | Minutes | Origin") or "Tea | Minutes | Origin" in piece.text
    assert chunk(loaded, 300, 60)[-1].heading_path == "Teas"


def test_every_chunk_of_a_csv_file_or_a_sheet_knows_its_columns_once() -> None:
    workbook = Workbook()
    sheet = workbook.worksheets[0]
    sheet.title = "Teas"
    for row in TEAS:
        sheet.append(row)
    file = io.BytesIO()
    workbook.save(file)
    csv = load_csv("\n".join(",".join(row) for row in TEAS).encode(), "a.csv")
    sheets = load_sheets(file.getvalue(), "a.xlsx").model_copy(update={"content_type": "business"})
    for loaded, separator in ((csv, ","), (sheets, " | ")):
        for piece in rows_of(loaded, [separator.join(row) for row in TEAS[1:]]):
            assert piece.heading_path.count("Tea | Minutes | Origin") == 1 or separator.join(TEAS[0]) in piece.text


@pytest.mark.parametrize("text", ["Home | About | Contact\n\nWords.", "1 | 2\n3 | 4\n5 | 6", "a | b\nc | d | e\nf | g"])
def test_lines_with_bars_that_are_no_table_name_no_columns(text: str) -> None:
    assert [piece.heading_path for piece in chunk(plain(text, "text/html"))] == [""]


@pytest.mark.parametrize("ruled", [True, False])
def test_bars_without_end_take_time_in_proportion_to_their_length(ruled: bool) -> None:
    assert list(grids(" | " * 300_000 + "\n" + ":-" * 300_000 + "|" * 300_000, ruled=ruled)) == []


@pytest.mark.parametrize(
    "text",
    ["a" * 200_000, "漢字" * 20_000, "\n" * 99_999 + "a", "a\n" * 50_000, " \n" * 50_000 + "a", "\u2028" * 9_999],
)
@pytest.mark.parametrize("media_type", ["text/plain", "text/markdown"])
def test_texts_without_structure_take_time_in_proportion_to_their_length(text: str, media_type: str) -> None:
    assert sum(len(piece.text) for piece in chunk(plain(text, media_type))) >= len("".join(text.split()))
