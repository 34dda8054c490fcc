"""Markdown: the file's own characters, so that offsets point into the source; headings as CommonMark has them."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from kowai.decoding import decode
from kowai.loaders import Limits, Loader
from kowai.types import Heading, LoadedDocument

_FRONT_MATTER = re.compile(r"---[ \t]*\n(?:.*\n)*?(?:---|\.\.\.)[ \t]*(?:\n|$)")
_FRONT_TITLE = re.compile(r"^title:[ \t]*(['\"]?)(.+?)\1[ \t]*$", re.MULTILINE)
_FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})(.*)")
_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+|$)(.*)")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_NO_PARAGRAPH = re.compile(r"\s*$|\s*(?:>|[-+*][ \t]|\d{1,9}[.)][ \t])|    |\t")
_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()]*\)")
_MARKS = re.compile(r"[*_]{2,}|(?<!\w)[*_](?=\S)|(?<=\S)[*_](?!\w)|`+")


class Line(NamedTuple):
    text: str
    start: int


def load(data: bytes, name: str, limits: Limits = Limits(), charset: str | None = None) -> LoadedDocument:
    text = decode(data, name, charset)
    front = _FRONT_MATTER.match(text)
    body = front.end() if front else 0
    headings = headings_of(text, body)
    declared = _FRONT_TITLE.search(text, 0, body)
    first = min(headings, key=lambda heading: heading.level, default=None)
    title = declared[2] if declared else first.title if first else None
    return LoadedDocument(text=text, media_type="text/markdown", title=title, headings=headings)


def headings_of(text: str, body: int = 0) -> tuple[Heading, ...]:
    """Return the headings from character `body` on."""
    return tuple(_headings(text, body))


def _headings(text: str, body: int) -> Iterator[Heading]:
    previous: Line | None = None  # the paragraph line that an underline would make a heading
    for line in _lines_outside_code(text, body):
        if atx := _ATX.match(line.text):
            yield Heading(len(atx[1]), _plain(_without_closing_marks(atx[2])), line.start)
            previous = None
        elif previous and (underline := _UNDERLINE.match(line.text)):
            yield Heading(1 if underline[1][0] == "=" else 2, _plain(previous.text), previous.start)
            previous = None
        else:
            previous = None if _NO_PARAGRAPH.match(line.text) else line


def _lines_outside_code(text: str, start: int) -> Iterator[Line]:
    """Yield the lines that are not in a fenced block; in a fence's place comes an empty line."""
    fence = ""
    while start < len(text):
        end = text.find("\n", start)
        line = Line(text[start : end if end >= 0 else len(text)], start)
        start += len(line.text) + 1
        mark = _FENCE.match(line.text)
        if not fence and mark:
            fence = mark[1]
        elif fence and mark and mark[1].startswith(fence) and not mark[2].strip():
            fence = ""
        elif not fence:
            yield line
            continue
        yield Line("", line.start)


def _without_closing_marks(heading: str) -> str:
    stripped = heading.rstrip()
    marks = stripped.rstrip("#")
    return marks if not marks or marks[-1] in " \t" else stripped


def _plain(heading: str) -> str:
    """Drop links' targets and emphasis marks from a heading."""
    return _MARKS.sub("", _LINK.sub(r"\1", heading)).strip()


MARKDOWN = Loader(
    "Markdown", frozenset({".md", ".markdown"}), frozenset({"text/markdown", "text/x-markdown"}), load, isolated=False
)
