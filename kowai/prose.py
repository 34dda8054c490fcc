"""A text under construction: collapses spaces, keeps paragraphs apart and knows where its headings begin."""

from collections.abc import Iterable

from kowai.decoding import canonical
from kowai.types import Heading, PageSpan

LINE, PARAGRAPH, SECTION = 1, 2, 3  # newlines; the splitter prefers the longest run of them


class Prose:
    """Collect words into paragraphs; on one `line` every gap is a space."""

    def __init__(self, *, line: bool = False) -> None:
        self._line = line
        self._parts: list[str] = []
        self._length = 0
        self._newlines = 0
        self._space = False
        self._prefix = ""
        self._level: int | None = None
        self._opened = 0
        self._headings: list[Heading] = []

    def words(self, text: str) -> None:
        """Write `text` with every run of white space as one space."""
        text = canonical(text)
        words = " ".join(text.split())
        if words:
            self._space = self._space or text[0].isspace()
            self._append(words)
        self._space = self._space or text[-1:].isspace()

    def verbatim(self, text: str) -> None:
        if text:
            self._append(canonical(text))

    def gap(self, newlines: int) -> None:
        """Put at least so many newlines before what comes next."""
        self._newlines = max(self._newlines, newlines)

    def newline(self) -> None:
        self._newlines = min(self._newlines + 1, max(self._newlines, PARAGRAPH))

    def bullet(self, mark: str) -> None:
        """Put `mark` before what comes next, on its line whatever gaps lie between."""
        self._prefix = mark

    def note_heading(self, level: int, title: str) -> None:
        """Place a heading that says what follows without being written itself."""
        self._headings.append(Heading(level, canonical(title), self._length + len(self._separator())))

    def open_heading(self, level: int) -> None:
        self.gap(SECTION)
        self._level, self._opened = level, len(self._parts)

    def close_heading(self) -> None:
        written = self._parts[self._opened :]
        title = " ".join("".join(written).split())
        if self._level is not None and title:
            whole = "".join(written)
            start = self._length - len(whole.lstrip())
            self._headings.append(Heading(self._level, title, start))
        self._level = None
        self.gap(PARAGRAPH)

    def finish(self) -> tuple[str, tuple[Heading, ...]]:
        return "".join(self._parts), tuple(self._headings)

    def _append(self, text: str) -> None:
        text = self._separator() + self._prefix + text
        self._parts.append(text)
        self._length += len(text)
        self._newlines, self._space, self._prefix = 0, False, ""

    def _separator(self) -> str:
        if not self._parts:
            return ""
        if self._newlines and not self._line:
            return "\n" * self._newlines
        return " " if self._space or self._newlines else ""


def bound(pages: Iterable[Prose]) -> tuple[str, tuple[Heading, ...], tuple[PageSpan, ...]]:
    """Bind pages into one text: return it, the headings on all of them, and where each page lies."""
    texts: list[str] = []
    headings: list[Heading] = []
    spans: list[PageSpan] = []
    start = 0
    for number, page in enumerate(pages, 1):
        text, found = page.finish()
        headings += (Heading(level, title, start + place) for level, title, place in found)
        spans.append(PageSpan(number, start, start + len(text)))
        texts.append(text)
        start += len(text) + SECTION
    return ("\n" * SECTION).join(texts), tuple(headings), tuple(spans)
