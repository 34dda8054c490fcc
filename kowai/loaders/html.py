"""HTML: what a reader of the page sees, without its navigation and machinery."""

import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

from kowai.decoding import canonical, decode
from kowai.loaders import Limits, Loader
from kowai.prose import LINE, PARAGRAPH, Prose
from kowai.types import LoadedDocument

MAX_DEPTH = 512  # where browsers stop nesting too; the parser's time grows with the square of the depth
DROPPED = ["audio", "button", "canvas", "embed", "iframe", "nav", "noscript", "object", "script", "select", "style"]
DROPPED.extend(("svg", "template", "textarea", "video"))
HEADINGS = {f"h{level}": level for level in range(1, 7)}
CELLS = frozenset(("td", "th"))
BLOCKS = re.compile(
    "address|article|aside|blockquote|body|caption|center|d[dlt]|details|div|fieldset|fig(caption|ure)|footer|form"
    "|header|hgroup|hr|legend|main|[ou]l|p|pre|search|section|summary|t(able|d|h)"
)
# Tags that never nest, because they hold nothing or because the next of their kind closes them.
FLAT = re.compile(
    "area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr"
    "|p|li|d[dt]|opt(ion|group)|t(r|d|h|body|head|foot)|colgroup|r[pt]|html|body|head"
)

_NOT_IN_GRIDS = "table, h1, h2, h3, h4, h5, h6"
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9-]*)[^<>]*>?")
_CHARSET = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([\w:.-]+)", re.IGNORECASE)


def load(data: bytes, name: str, limits: Limits = Limits(), charset: str | None = None) -> LoadedDocument:
    tree = LexborHTMLParser(_flat(_decoded(data, name, charset)))
    title = _title(tree)
    text, headings = _written(tree).finish()
    first = min(headings, key=lambda heading: heading.level, default=None)
    title = title or (first.title if first else None)
    return LoadedDocument(text=text, media_type="text/html", title=title, headings=headings)


def written(data: bytes, name: str, charset: str | None = None) -> Prose:
    """Return what a reader of one page of a larger document sees."""
    return _written(LexborHTMLParser(_flat(_decoded(data, name, charset))))


def _written(tree: LexborHTMLParser) -> Prose:
    tree.strip_tags(DROPPED)
    prose = Prose()
    if tree.body is not None:
        _Page(prose).write(_content(tree.body))
    return prose


def _decoded(data: bytes, name: str, charset: str | None) -> str:
    declared = _CHARSET.search(data[:4096])
    return decode(data, name, charset or (declared[1].decode("ascii", "replace") if declared else None))


def _flat(html: str) -> str:
    """Drop the tags that nest deeper than MAX_DEPTH; their text stays."""
    depth = 0

    def keep(tag: re.Match[str]) -> str:
        nonlocal depth
        name = tag[2].lower()
        if FLAT.fullmatch(name) or tag[0].endswith("/>"):
            return tag[0]
        depth = max(0, depth - 1) if tag[1] else depth + 1
        return tag[0] if depth + bool(tag[1]) <= MAX_DEPTH else ""

    return _TAG.sub(keep, html) if html.count("<") > MAX_DEPTH else html


def _content(body: LexborNode) -> LexborNode:
    """Return the page's main element if it has exactly one with text in it, else the body."""
    mains = body.css("main, [role=main]")
    return mains[0] if len(mains) == 1 and mains[0].text().strip() else body


def _title(tree: LexborHTMLParser) -> str | None:
    title = tree.css_first("head > title")
    return canonical(" ".join(title.text().split())) or None if title else None


class _Page:
    """Write the elements under a root into a prose, in the order of the page and without recursion."""

    def __init__(self, prose: Prose) -> None:
        self._prose = prose
        self._grids: list[bool] = []  # of each open table, whether it holds data rather than layout
        self._counts: list[int | None] = []  # of each open list, the number of its last item, if it counts
        self._verbatim = 0

    def write(self, root: LexborNode) -> None:
        node, end, following = root, root.mem_id, None  # == would compare the nodes' whole HTML
        while True:
            self._begin(node)
            child = None if self._is_row(node) else node.first_child
            if child is not None:
                node = child
                continue
            self._end(node)
            while node.mem_id != end and (following := node.next) is None and node.parent is not None:
                node = node.parent
                self._end(node)
            if node.mem_id == end or following is None:
                return
            node = following

    def _begin(self, node: LexborNode) -> None:
        tag = node.tag or ""
        if node.is_text_node:
            (self._prose.verbatim if self._verbatim else self._prose.words)(node.text_content or "")
        elif tag in HEADINGS:
            self._prose.open_heading(HEADINGS[tag])
        elif tag == "br":
            self._prose.newline()
        elif self._is_row(node):
            self._row(node)
        elif tag == "li":
            self._item()
        elif BLOCKS.fullmatch(tag):
            self._open(tag, node)

    def _open(self, tag: str, node: LexborNode) -> None:
        self._prose.gap(self._gap())
        if tag == "table":
            self._grids.append(all(inner.mem_id == node.mem_id for inner in node.css(_NOT_IN_GRIDS)))
        elif tag in ("ol", "ul"):
            self._counts.append(0 if tag == "ol" else None)
        elif tag == "pre":
            self._verbatim += 1

    def _end(self, node: LexborNode) -> None:
        tag = node.tag or ""
        if tag in HEADINGS:
            self._prose.close_heading()
        elif tag == "li":
            self._prose.bullet("")  # an empty item's must not pass to what follows
            self._prose.gap(LINE)
        elif BLOCKS.fullmatch(tag):
            stack = {"table": self._grids, "ol": self._counts, "ul": self._counts}.get(tag)
            if stack:
                stack.pop()
            self._verbatim -= tag == "pre"
            self._prose.gap(self._gap())

    def _gap(self) -> int:
        return LINE if self._counts else PARAGRAPH

    def _is_row(self, node: LexborNode) -> bool:
        return node.tag == "tr" and bool(self._grids) and self._grids[-1]

    def _row(self, row: LexborNode) -> None:
        cells = [_on_one_line(cell) for cell in row.iter() if cell.tag in CELLS]
        self._prose.gap(LINE)
        if any(cells):
            self._prose.words(" | ".join(cells))
        self._prose.gap(LINE)

    def _item(self) -> None:
        self._prose.gap(LINE)
        count = self._counts[-1] if self._counts else None
        if count is not None:
            self._counts[-1] = count + 1
        self._prose.bullet("- " if count is None else f"{count + 1}. ")


def _on_one_line(cell: LexborNode) -> str:
    prose = Prose(line=True)
    _Page(prose).write(cell)
    return prose.finish()[0]


HTML = Loader(
    "an HTML page", frozenset({".html", ".htm", ".xhtml"}), frozenset({"text/html", "application/xhtml+xml"}), load
)
