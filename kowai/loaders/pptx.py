"""PowerPoint: each slide is a page; titles, text, tables, charts, diagrams and the speaker's notes (ECMA-376)."""

from collections.abc import Iterator

from kowai.errors import DocumentTooLarge, EmptyDocument
from kowai.loaders import Limits, Loader
from kowai.parts import Parts, Xml, attribute, child, core_properties, tag
from kowai.prose import LINE, PARAGRAPH, Prose, bound
from kowai.types import LoadedDocument

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
TITLES = frozenset(("title", "ctrTitle"))
FURNITURE = frozenset(("sldNum", "dt", "ftr", "hdr"))
DIAGRAM_KINDS = ("chart", "diagramData")


def load(data: bytes, name: str, limits: Limits = Limits(), charset: str | None = None) -> LoadedDocument:
    parts = Parts(data, name, limits)
    main = next(iter(parts.related("", "officeDocument")), "ppt/presentation.xml")
    slides = _slides(parts, main)
    if not slides:
        raise EmptyDocument(f"{name} has no slides.")
    if len(slides) > limits.max_pages:
        raise DocumentTooLarge(f"{name} has {len(slides):,} slides; at most {limits.max_pages:,} are read: split it.")
    text, headings, pages = bound([_Slide(parts, slide).read() for slide in slides])
    said = core_properties(parts)
    title = said.get("title")
    first = headings[0].title if headings else None
    title = first if title is None or title.lower() == "powerpoint presentation" else title
    metadata = {key: said[key] for key in ("creator", "created", "modified", "subject", "keywords") if key in said}
    return LoadedDocument(
        text=text, media_type=MEDIA_TYPE, title=title, pages=pages, headings=headings, metadata=metadata
    )


def _slides(parts: Parts, main: str) -> list[str]:
    listed = child(parts.xml(main), "sldIdLst")
    targets = parts.relations(main)
    named = [_relation(slide) for slide in (() if listed is None else listed)]
    return [targets[name] for name in named if name in targets]


def _relation(node: Xml) -> str:
    return next((value for key, value in node.attrib.items() if key.endswith("}id")), "")


class _Slide:
    """Write one slide: its title first, then its shapes in their order, then the notes."""

    def __init__(self, parts: Parts, part: str) -> None:
        self._parts = parts
        self._part = part
        self._prose = Prose()
        self._targets = parts.relations(part)

    def read(self) -> Prose:
        tree = child(self._parts.xml(self._part), "cSld", "spTree")
        shapes = list(() if tree is None else _shapes(tree))
        for shape in sorted(shapes, key=lambda shape: _placeholder(shape) not in TITLES):
            self._shape(shape)
        for notes in self._parts.related(self._part, "notesSlide"):
            noted = child(self._parts.xml(notes), "cSld", "spTree")
            for shape in () if noted is None else _shapes(noted):
                if _placeholder(shape) == "body":
                    self._paragraphs(shape, "Notes: ")
        return self._prose

    def _shape(self, shape: Xml) -> None:
        kind = _placeholder(shape)
        if kind in FURNITURE:
            return
        self._prose.gap(PARAGRAPH)
        if tag(shape) == "graphicFrame":
            self._graphic(shape)
        elif kind in TITLES:
            self._prose.open_heading(1)
            self._prose.words(" ".join(_texts(shape)))
            self._prose.close_heading()
        else:
            self._paragraphs(shape)

    def _paragraphs(self, shape: Xml, prefix: str = "") -> None:
        self._prose.gap(PARAGRAPH)
        for text in _texts(shape):
            self._prose.gap(LINE)
            self._prose.words(prefix + text)
            prefix = ""
        self._prose.gap(PARAGRAPH)

    def _graphic(self, frame: Xml) -> None:
        for node in frame.iter():
            if tag(node) == "tr":
                cells = [" ".join(_texts(cell)) for cell in node if tag(cell) == "tc"]
                self._line(" | ".join(cells) if any(cells) else "")
        for name in {value for node in frame.iter() for value in node.attrib.values() if value in self._targets}:
            target = self._targets[name]
            if "/charts/" in target:
                self._chart(self._parts.xml(target))
            elif "/diagrams/data" in target:
                diagram = self._parts.xml(target)
                for text in () if diagram is None else _texts(diagram):
                    self._line(text)

    def _chart(self, chart: Xml | None) -> None:
        """Write a chart's title and, for each series, its name and what it says of each category."""
        for text in () if chart is None else _texts(chart):
            self._line(text)
        for series in () if chart is None else (node for node in chart.iter() if tag(node) == "ser"):
            names, labels, values = (_values(child(series, kind)) for kind in ("tx", "cat", "val"))
            pairs = [f"{labels[key]}: {values[key]}" if key in labels else values[key] for key in values]
            self._line(" | ".join([*names.values(), *pairs]))

    def _line(self, text: str) -> None:
        self._prose.gap(LINE)
        self._prose.words(text)
        self._prose.gap(LINE)


def _shapes(tree: Xml) -> Iterator[Xml]:
    """Yield text shapes and frames, those in groups too; of alternatives the first."""
    for node in tree:
        if tag(node) in ("sp", "graphicFrame"):
            yield node
        elif tag(node) != "Fallback":
            yield from _shapes(node)


def _placeholder(shape: Xml) -> str:
    """Return what the layout meant the shape for; a placeholder without a type is for the body."""
    place = child(shape, "nvSpPr", "nvPr", "ph")
    return "" if place is None else place.get("type", "body")


def _texts(shape: Xml) -> Iterator[str]:
    for paragraph in (node for node in shape.iter() if tag(node) == "p"):
        pieces = [" " if tag(node) in ("br", "tab") else node.text or "" for node in paragraph.iter() if _speaks(node)]
        if text := "".join(pieces).strip():
            yield text


def _speaks(node: Xml) -> bool:
    return tag(node) in ("t", "br", "tab")


def _values(holder: Xml | None) -> dict[str, str]:
    """Return a chart's cached values by their index."""
    points = [] if holder is None else [node for node in holder.iter() if tag(node) == "pt"]
    return {
        attribute(point, "idx") or "": (value.text or "")
        for point in points
        if (value := child(point, "v")) is not None
    }


PPTX = Loader("a PowerPoint presentation", frozenset({".pptx", ".pptm", ".ppsx"}), frozenset({MEDIA_TYPE}), load)
