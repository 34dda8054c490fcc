"""OpenDocument texts and presentations (ODF 1.3): headings, paragraphs, lists, tables, boxes, notes and slides."""

from collections.abc import Iterator

from kowai.errors import Corrupt, DocumentTooLarge, Encrypted
from kowai.loaders import Limits, Loader
from kowai.parts import Parts, Xml, attribute, child, tag
from kowai.prose import LINE, PARAGRAPH, Prose, bound
from kowai.types import LoadedDocument

TEXT = "application/vnd.oasis.opendocument.text"
PRESENTATION = "application/vnd.oasis.opendocument.presentation"
GONE = frozenset(("tracked-changes", "annotation", "annotation-end", "forms", "sequence-decls", "ruby-text", "desc"))
MAX_SPACES = 100


def load(data: bytes, name: str, limits: Limits = Limits(), charset: str | None = None) -> LoadedDocument:
    parts = Parts(data, name, limits)
    if b"encryption-data" in parts.read("META-INF/manifest.xml"):
        raise Encrypted(f"{name} is locked by a password: save it without one.")
    body = child(parts.xml("content.xml"), "body")
    if body is None:
        raise Corrupt(f"{name} is damaged: it has no text part. Export or download it again.")
    slides = [node for content in body for node in content if tag(node) == "page"]
    if len(slides) > limits.max_pages:
        raise DocumentTooLarge(f"{name} has {len(slides):,} slides; at most {limits.max_pages:,} are read: split it.")
    text, headings, pages = bound([_written(node) for node in slides or [body]])
    said = child(parts.xml("meta.xml"), "meta")
    metadata = {tag(node): (node.text or "").strip() for node in (() if said is None else said)}
    first = min(headings, key=lambda heading: heading.level, default=None)
    title = metadata.get("title") or (first.title if first else None)
    return LoadedDocument(
        text=text,
        media_type=PRESENTATION if slides else TEXT,
        content_type="business" if slides else None,
        title=title,
        pages=pages if slides else (),
        headings=headings,
        metadata={key: metadata[key] for key in ("creator", "creation-date", "date", "subject") if metadata.get(key)},
    )


def _written(node: Xml) -> Prose:
    prose = Prose()
    _Text(prose).blocks(node)
    return prose


class _Text:
    """Write blocks into a prose; frames that stand in a paragraph follow it."""

    def __init__(self, prose: Prose) -> None:
        self._prose = prose
        self._lists = 0

    def blocks(self, parent: Xml) -> None:
        for node in parent:
            kind = tag(node)
            if kind == "h":
                self._heading(node, attribute(node, "outline-level") or "1")
            elif kind == "p":
                self._paragraph(node)
            elif kind == "table":
                self._table(node)
            elif kind == "list":
                self._list(node)
            elif kind == "frame" and attribute(node, "class") == "title":
                self._slide_title(node)
            elif kind not in GONE:
                self.blocks(node)

    def _heading(self, node: Xml, level: str) -> None:
        self._prose.open_heading(min(9, int(level)) if level.isdecimal() else 1)
        self._prose.words("".join(_inline(node)))
        self._prose.close_heading()
        self._frames(node)

    def _slide_title(self, frame: Xml) -> None:
        self._prose.open_heading(1)
        for node in frame.iter():
            if tag(node) in ("p", "h"):
                self._prose.words("".join(_inline(node)) + " ")
        self._prose.close_heading()

    def _paragraph(self, node: Xml) -> None:
        gap = LINE if self._lists else PARAGRAPH
        self._prose.gap(gap)
        for line in "".join(_inline(node)).split("\n"):
            self._prose.words(line)
            self._prose.newline()
        self._prose.gap(gap)
        self._frames(node)

    def _frames(self, node: Xml) -> None:
        for frame in _framed(node):
            self.blocks(frame)

    def _list(self, node: Xml) -> None:
        self._lists += 1
        for item in node:
            self._prose.gap(LINE)
            self._prose.bullet("- ")
            self.blocks(item)
            self._prose.bullet("")
        self._lists -= 1
        self._prose.gap(LINE if self._lists else PARAGRAPH)

    def _table(self, table: Xml) -> None:
        self._prose.gap(PARAGRAPH)
        for row in _rows(table):
            cells = [_on_one_line(cell) for cell in row if tag(cell) == "table-cell"]
            if any(cells):
                self._prose.words(" | ".join(cells))
            self._prose.gap(LINE)
        self._prose.gap(PARAGRAPH)


def _inline(parent: Xml) -> Iterator[str]:
    yield parent.text or ""
    for node in parent:
        kind = tag(node)
        if kind == "s":
            count = attribute(node, "c") or "1"
            yield " " * min(MAX_SPACES, int(count) if count.isdecimal() else 1)
        elif kind == "tab":
            yield " "
        elif kind == "line-break":
            yield "\n"
        elif kind == "note":
            noted = child(node, "note-body")
            yield f" [{' '.join(_paragraphs(noted))}]" if noted is not None else ""
        elif kind not in GONE and kind != "frame":
            yield from _inline(node)
        yield node.tail or ""


def _paragraphs(parent: Xml) -> Iterator[str]:
    for node in parent.iter():
        if tag(node) in ("p", "h"):
            yield "".join(_inline(node))


def _framed(parent: Xml) -> Iterator[Xml]:
    for node in parent:
        if tag(node) == "frame" or tag(node) in ("custom-shape", "text-box"):
            yield node
        elif tag(node) not in GONE:
            yield from _framed(node)


def _rows(table: Xml) -> Iterator[Xml]:
    for node in table:
        if tag(node) == "table-row":
            yield node
        elif tag(node) not in GONE:
            yield from _rows(node)


def _on_one_line(cell: Xml) -> str:
    prose = Prose(line=True)
    _Text(prose).blocks(cell)
    return prose.finish()[0]


OPENDOCUMENT = Loader(
    "an OpenDocument text", frozenset({".odt", ".ott", ".odp", ".otp"}), frozenset({TEXT, PRESENTATION}), load
)
