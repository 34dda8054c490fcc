"""What Word's styles and lists say of a paragraph: its level as a heading, and its number or bullet."""

import re
from collections import defaultdict
from typing import NamedTuple

from kowai.parts import Parts, Xml, attribute, child, tag

HEADING_NAME = re.compile(r"(?i)heading ([1-9])$")
BODY_LEVEL = 9
ROMAN = {"m": 1000, "cm": 900, "d": 500, "cd": 400, "c": 100, "xc": 90, "l": 50, "xl": 40, "x": 10}
ROMAN_UNITS = {"ix": 9, "v": 5, "iv": 4, "i": 1}


class Style(NamedTuple):
    """Hold a heading's level, None for other text, and the list and the depth in it, None for no list."""

    level: int | None = None
    list_id: str | None = None
    depth: int = 0

    @property
    def in_list(self) -> bool:
        return self.list_id not in (None, "0") and self.level is None


class Numbering(NamedTuple):
    format: str
    text: str
    start: int


class Styles:
    """Know a document's styles and count its lists."""

    def __init__(self, parts: Parts, main: str) -> None:
        self._styles: dict[str, Style] = {}
        self._lists: dict[str, dict[int, Numbering]] = {}
        self._same: dict[str, str] = {}  # lists that go on counting where another stopped
        self._counts: dict[str, dict[int, int]] = defaultdict(dict)
        for part in parts.related(main, "styles"):
            self._read_styles(parts.xml(part))
        for part in parts.related(main, "numbering"):
            self._read_lists(parts.xml(part))

    def of(self, paragraph: Xml) -> Style:
        properties = child(paragraph, "pPr")
        base = self._styles.get(attribute(child(properties, "pStyle"), "val") or "", Style())
        return _refined(base, properties)

    def mark(self, style: Style) -> str:
        """Return the number or bullet that comes next in the style's list, with a space, or nothing."""
        levels = self._lists.get(style.list_id or "")
        level = levels.get(style.depth) if levels else None
        if levels is None or level is None or level.format == "none":
            return ""
        if level.format == "bullet":
            return "- "
        counts = self._counts[self._same[style.list_id or ""]]
        counts[style.depth] = counts.get(style.depth, level.start - 1) + 1
        for deeper in [depth for depth in counts if depth > style.depth]:
            del counts[deeper]
        mark = re.sub("%([1-9])", lambda place: _at(levels, counts, int(place[1]) - 1), level.text)
        return f"{mark} " if mark.strip() else ""

    def _read_styles(self, root: Xml | None) -> None:
        nodes = {attribute(node, "styleId") or "": node for node in (() if root is None else root)}
        for name in nodes:
            chain: list[Xml] = []
            above = name
            while above in nodes and nodes[above] not in chain and len(chain) < 20:
                chain.append(nodes[above])
                above = attribute(child(nodes[above], "basedOn"), "val") or ""
            style = Style()
            for node in reversed(chain):
                style = _named(_refined(style, child(node, "pPr")), node)
            self._styles[name] = style

    def _read_lists(self, root: Xml | None) -> None:
        kinds: dict[str, dict[int, Numbering]] = {}
        for node in () if root is None else root:
            if tag(node) == "abstractNum":
                kinds[attribute(node, "abstractNumId") or ""] = dict(_levels(node))
            elif tag(node) == "num":
                kind = attribute(child(node, "abstractNumId"), "val") or ""
                name = attribute(node, "numId") or ""
                overridden = child(node, "lvlOverride") is not None
                self._lists[name] = kinds.get(kind, {})
                self._same[name] = name if overridden else f"kind {kind}"


def _refined(style: Style, properties: Xml | None) -> Style:
    outline = attribute(child(properties, "outlineLvl"), "val")
    if outline is not None and outline.isdecimal():
        style = style._replace(level=int(outline) + 1 if int(outline) < BODY_LEVEL else None)
    number = child(properties, "numPr")
    if (list_id := attribute(child(number, "numId"), "val")) is not None:
        style = style._replace(list_id=list_id)
    depth = attribute(child(number, "ilvl"), "val")
    return style._replace(depth=int(depth)) if depth is not None and depth.isdecimal() else style


def _named(style: Style, node: Xml) -> Style:
    name = attribute(child(node, "name"), "val") or ""
    if heading := HEADING_NAME.match(name):
        return style._replace(level=int(heading[1]))
    return style._replace(level=1) if name.lower() == "title" else style


def _levels(kind: Xml) -> list[tuple[int, Numbering]]:
    found: list[tuple[int, Numbering]] = []
    for node in kind:
        depth = attribute(node, "ilvl") or ""
        if tag(node) == "lvl" and depth.isdecimal():
            start = attribute(child(node, "start"), "val") or "1"
            shown = attribute(child(node, "numFmt"), "val") or "decimal"
            text = attribute(child(node, "lvlText"), "val") or ""
            found.append((int(depth), Numbering(shown, text, int(start) if start.isdecimal() else 1)))
    return found


def _at(levels: dict[int, Numbering], counts: dict[int, int], depth: int) -> str:
    level = levels.get(depth)
    return "" if level is None else _written(counts.get(depth, level.start), level.format)


def _written(count: int, shown: str) -> str:
    if shown.endswith("Letter"):
        letters = chr(97 + (count - 1) % 26) * ((count - 1) // 26 % 50 + 1)
    elif shown.endswith("Roman"):
        letters = _roman(count)
    else:
        return str(count)
    return letters.upper() if shown.startswith("upper") else letters


def _roman(count: int) -> str:
    written = ""
    for letters, value in (ROMAN | ROMAN_UNITS).items():
        written += letters * min(9, count // value)
        count %= value
    return written
