"""PDF: each page's text in the order pdfium gives it, with wrapped lines and hyphenated words rejoined, and without
its running header and footer.

pdfium is not thread-safe: outside a child process call `load` from one thread at a time.
"""

import re
from itertools import islice, pairwise
from typing import Any, NamedTuple

import pypdfium2

from kowai.decoding import canonical
from kowai.errors import Corrupt, DocumentTooLarge, EmptyDocument, Encrypted, NoText
from kowai.layout import within
from kowai.loaders import Limits, Loader
from kowai.pdf_lines import CONTROLS, layout_of
from kowai.running_lines import Edges, running_lines
from kowai.types import Heading, LoadedDocument, PageSpan

PAGE_GAP = "\n\n"
MAX_BOOKMARKS = 5_000
MOST_UNMAPPED = 0.3  # of a page's characters; beyond it what can be read is not what stands there
WRONG_PASSWORD, UNKNOWN_LOCK = 4, 5  # FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY

_HYPHEN = re.compile(r"(?<=\w)[\ufffe\x02][ \n]*(?=(\w))")  # where pdfium saw a word broken over two lines
_UNMAPPED = re.compile("[\x00-\x08\x0b-\x1f\x7f\ufffe\uffff\ue000-\uf8ff]")  # what is left may be glyphs' numbers
_NO_TITLE = re.compile(
    r"(?i)\W*$|untitled|(microsoft )?(word|powerpoint|excel)\b|(unknown|anonymous|title|(document|slide|page)[ _]?\d*)$"
    r"|\S*\.(docx?|dotx?|pptx?|xlsx?|pdf|od[tpsg]|rtf|tex|dvi|indd|qxd|pub|html?|md|txt|tiff?|png|jpe?g)$"
)


class Page(NamedTuple):
    """Hold a page's text, None if it cannot be read, and where its lines stand, as far as that is known."""

    text: str | None
    layout: str = ""

    @property
    def lines(self) -> list[str]:
        return [line for line in (self.text or "").split("\n") if line]


def load(data: bytes, name: str, limits: Limits = Limits(), charset: str | None = None) -> LoadedDocument:
    pdf = _open(data, name, limits)
    try:
        whole = [_page(pdf, index) for index in range(len(pdf))]
        edges = running_lines([page.lines for page in whole])
        read = [_without(page, running) for page, running in zip(whole, edges, strict=True)]
        texts = [page.text and _unwrapped(page.text) for page in read]
        pages = tuple(_spans(texts))
        if not any(texts):
            raise _wordless(texts, name)
        text = PAGE_GAP.join(page or "" for page in texts)
        return LoadedDocument(
            text=text,
            media_type="application/pdf",
            title=_title(pdf),
            pages=pages,
            layout=tuple(page.layout for page in read),
            headings=_headings(pdf, text, pages),
            metadata=_gaps(texts),
        )
    finally:
        pdf.close()


def _open(data: bytes, name: str, limits: Limits) -> Any:
    try:
        pdf: Any = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if error.err_code in (WRONG_PASSWORD, UNKNOWN_LOCK):
            raise Encrypted(f"{name} is locked by a password: save it without one.", operator=str(error)) from error
        raise Corrupt(f"{name} is damaged: export or download it again.", operator=str(error)) from error
    if len(pdf) == 0:
        raise EmptyDocument(f"{name} has no pages.")
    if len(pdf) > limits.max_pages:
        raise DocumentTooLarge(f"{name} has {len(pdf):,} pages; at most {limits.max_pages:,} are read: split it.")
    return pdf


def _page(pdf: Any, index: int) -> Page:
    """Read a page; one that is broken must not cost the others."""
    try:
        page = pdf[index]
        textpage = page.get_textpage()
        found: str = textpage.get_text_bounded()  # within the page: text beside it is seen by nobody
        text = _text(found)
        layout = layout_of(page, textpage, found, text)
        textpage.close()
        page.close()
    except pypdfium2.PdfiumError:
        return Page(None)
    return Page(text, layout)


def _text(found: str) -> str:
    words = _HYPHEN.sub(_rejoin, canonical(found))
    if len(_UNMAPPED.findall(words)) > len(words) * MOST_UNMAPPED:
        return ""
    return "\n".join(line.strip() for line in CONTROLS.sub("", words).split("\n")).strip()


def _rejoin(hyphen: re.Match[str]) -> str:
    return "" if hyphen[1].islower() else "-"


def _unwrapped(text: str) -> str:
    """Join the lines that end and go on in lower case: they are one sentence, which chunks should not cut."""
    lines = text.split("\n")
    joined = lines[:1]
    for line, following in pairwise(lines):
        wraps = (line[-1:].islower() or line[-1:] in (",", ";")) and following[:1].islower()
        joined += (" " if wraps else "\n", following)
    return "".join(joined)


def _without(page: Page, running: Edges) -> Page:
    """Take the running lines away."""
    if not any(running) or not page.text:
        return page
    lines = page.text.split("\n")
    filled = [place for place, line in enumerate(lines) if line]
    kept = filled[running.top : len(filled) - running.bottom]
    if not kept:
        return Page("")
    start = sum(len(line) + 1 for line in lines[: kept[0]])
    text = "\n".join(lines[kept[0] : kept[-1] + 1])
    return Page(text, within(page.layout, start, start + len(text)))


def _spans(texts: list[str | None]) -> list[PageSpan]:
    spans: list[PageSpan] = []
    start = 0
    for number, page in enumerate(texts, 1):
        end = start + len(page or "")
        spans.append(PageSpan(number, start, end))
        start = end + len(PAGE_GAP)
    return spans


def _wordless(texts: list[str | None], name: str) -> Corrupt | NoText:
    if all(page is None for page in texts):
        return Corrupt(f"None of the pages of {name} can be read: export or download it again.")
    return NoText(f"{name} holds no text, only images: it needs OCR before KowAI can read it.")


def _gaps(texts: list[str | None]) -> dict[str, list[int]]:
    """Name the pages that gave nothing, so that nobody takes them for read."""
    gaps = {
        "pages_without_text": [number for number, page in enumerate(texts, 1) if page == ""],
        "unreadable_pages": [number for number, page in enumerate(texts, 1) if page is None],
    }
    return {name: numbers for name, numbers in gaps.items() if numbers}


def _title(pdf: Any) -> str | None:
    title = " ".join(CONTROLS.sub("", canonical(pdf.get_metadata_value("Title"))).split())
    return None if _NO_TITLE.match(title) else title


def _headings(pdf: Any, text: str, pages: tuple[PageSpan, ...]) -> tuple[Heading, ...]:
    """Place each bookmark where its title stands on its page, or else at the top of the page."""
    found: list[Heading] = []
    for bookmark in islice(pdf.get_toc(), MAX_BOOKMARKS):
        words = canonical(bookmark.get_title()).split()
        target = bookmark.get_dest()
        index: int | None = target.get_index() if target else None
        if words and index is not None and index < len(pages):
            page: PageSpan = pages[index]
            printed = re.compile(r"(?im)^(?:[\d.]+[ \t]+)?" + r"\s+".join(map(re.escape, words)))
            place = printed.search(text, page.start, page.end)
            found.append(Heading(bookmark.level + 1, " ".join(words), place.start() if place else page.start))
    return tuple(sorted(found, key=lambda heading: heading.start))


PDF = Loader("a PDF", frozenset({".pdf"}), frozenset({"application/pdf", "application/x-pdf"}), load)
