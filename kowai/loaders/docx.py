"""Word: paragraphs, lists, tables, text boxes, equations and notes of an Office Open XML text (ECMA-376).

Deleted and moved-away text is not read, nor are headers and footers, which repeat on every page.
"""

from collections.abc import Iterator

from kowai.errors import Corrupt
from kowai.loaders import Limits, Loader
from kowai.parts import Parts, Xml, attribute, child, core_properties, tag
from kowai.prose import LINE, PARAGRAPH, Prose
from kowai.types import LoadedDocument
from kowai.word_styles import Styles

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
GONE = frozenset(
    ("del", "moveFrom", "pPr", "rPr", "Fallback", "instrText", "delText", "sdtPr", "tblPr", "tcPr", "trPr")
)
BREAKS = frozenset(("br", "cr"))
NOTES = {"footnotes": "footnoteReference", "endnotes": "endnoteReference"}


def load(data: bytes, name: str, limits: Limits = Limits(), charset: str | None = None) -> LoadedDocument:
    parts = Parts(data, name, limits)
    main = next(iter(parts.related("", "officeDocument")), "word/document.xml")
    body = child(parts.xml(main), "body")
    if body is None:
        raise Corrupt(f"{name} is damaged: it has no text part. Export or download it again.")
    prose = Prose()
    text = _Text(prose, Styles(parts, main))
    text.blocks(body)
    for kind in NOTES:
        for part in parts.related(main, kind):
            _write_notes(text, parts.xml(part))
    written, headings = prose.finish()
    said = core_properties(parts)
    first = min(headings, key=lambda heading: heading.level, default=None)
    title = said.get("title") or (first.title if first else None)
    metadata = {key: said[key] for key in ("creator", "created", "modified", "subject", "keywords") if key in said}
    return LoadedDocument(text=written, media_type=MEDIA_TYPE, title=title, headings=headings, metadata=metadata)


class _Text:
    """Write the blocks of a part into a prose."""

    def __init__(self, prose: Prose, styles: Styles) -> None:
        self._prose = prose
        self._styles = styles

    def blocks(self, parent: Xml) -> None:
        for block in parent:
            kind = tag(block)
            if kind == "p":
                self._paragraph(block)
            elif kind == "tbl":
                self._table(block)
            elif kind not in GONE:
                self.blocks(block)

    def _paragraph(self, paragraph: Xml) -> None:
        style = self._styles.of(paragraph)
        text = "".join(_runs(paragraph)).strip()
        self._prose.gap(LINE if style.in_list else PARAGRAPH)
        if text:
            if style.level is not None:
                self._prose.open_heading(style.level)
            if mark := self._styles.mark(style):
                self._prose.bullet(mark)
            self._lines(text)
            if style.level is not None:
                self._prose.close_heading()
        self._prose.gap(LINE if style.in_list else PARAGRAPH)
        for box in _boxes(paragraph):
            self.blocks(box)

    def note(self, number: str, note: Xml) -> None:
        self._prose.gap(PARAGRAPH)
        self._prose.bullet(f"[{number}] ")
        self.blocks(note)
        self._prose.bullet("")

    def _lines(self, text: str) -> None:
        for line in text.split("\n"):
            self._prose.words(line)
            self._prose.newline()

    def _table(self, table: Xml) -> None:
        self._prose.gap(PARAGRAPH)
        for row in _rows(table):
            cells = [_on_one_line(cell, self._styles) for cell in row]
            if any(cells):
                self._prose.words(" | ".join(cells))
            self._prose.gap(LINE)
        self._prose.gap(PARAGRAPH)


def _runs(parent: Xml) -> Iterator[str]:
    """Yield a paragraph's text; that of the boxes anchored in it comes after it."""
    for node in parent:
        kind = tag(node)
        if kind == "t":
            yield node.text or ""
        elif kind in BREAKS:
            yield "\n"
        elif kind == "tab":
            yield " "
        elif kind == "noBreakHyphen":
            yield "-"
        elif kind in NOTES.values():
            yield f" [{attribute(node, 'id')}]"
        elif kind not in GONE and kind != "txbxContent":
            yield from _runs(node)


def _boxes(parent: Xml) -> Iterator[Xml]:
    for node in parent:
        if tag(node) == "txbxContent":
            yield node
        elif tag(node) not in GONE:
            yield from _boxes(node)


def _rows(table: Xml) -> Iterator[list[Xml]]:
    """Yield each row's cells; rows and cells may stand in content controls and marked insertions."""
    for node in table:
        if tag(node) == "tr":
            yield list(_cells(node))
        elif tag(node) not in GONE:
            yield from _rows(node)


def _cells(row: Xml) -> Iterator[Xml]:
    for node in row:
        if tag(node) == "tc":
            yield node
        elif tag(node) not in GONE:
            yield from _cells(node)


def _on_one_line(cell: Xml, styles: Styles) -> str:
    prose = Prose(line=True)
    _Text(prose, styles).blocks(cell)
    return prose.finish()[0]


def _write_notes(text: _Text, notes: Xml | None) -> None:
    for note in () if notes is None else notes:
        if attribute(note, "type") is None:  # the others are rulers
            text.note(attribute(note, "id") or "", note)


DOCX = Loader("a Word document", frozenset({".docx", ".docm", ".dotx"}), frozenset({MEDIA_TYPE}), load)
