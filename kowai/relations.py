"""What a document refers to: links, imports, calls and other documents' names, each with the characters that say so."""

import ast
import posixpath
import re
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple, get_args
from urllib.parse import unquote

from kowai.types import LoadedDocument

Kind = Literal["links", "imports", "calls", "mentions"]
KINDS: tuple[str, ...] = get_args(Kind)
MOST = 5_000  # of one document
LONGEST = 500

_MARKDOWN_LINK = re.compile(
    r"!?\[[^\[\]\n]*\]\(\s*<?([^\s()<>]+)>?[^()\n]*\)|^ {0,3}\[[^\]\n]+\]:\s*<?(\S+?)>?\s*$", re.MULTILINE
)
_URL = re.compile(r"https?://[^\s<>\"'`)\]}]+[^\s<>\"'`)\]}.,;:!?]")
_FILE = re.compile(
    r"(?<![\w/.-])(?:[\w.-]+/)*[\w-][\w.-]*\.(?:md|pdf|docx?|txt|html?|csv|xlsx?|pptx?|ipynb|json|yaml|py|[jt]sx?)(?![\w/])"
)
_JS_IMPORT = re.compile(r"""(?:\bfrom\s*|\bimport\s*\(?\s*|\brequire\s*\(\s*)(['"])([^'"\n]+)\1""")
_JS_CALL = re.compile(r"(?<![\w$.])([A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)*)\s*\(")
_JS_DEFINED = re.compile(r"function\s*\*?\s*$|class\s*$")
_JS_WORDS = frozenset("if for while switch catch function return typeof await super constructor require import".split())
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


class Relation(NamedTuple):
    """Say that characters [start, end) refer to `target`; `path` is where a document that it names would be."""

    kind: Kind
    target: str
    path: str | None
    start: int
    end: int


def relations(document: LoadedDocument, name: str) -> list[Relation]:
    """Return what a document, known as `name`, refers to, in order; the same target twice at one place comes once."""
    found = {(one.kind, one.target, one.start): one for one in _found(document, name) if len(one.target) <= LONGEST}
    return sorted(found.values(), key=lambda one: (one.start, one.kind, one.target))[:MOST]


def _found(document: LoadedDocument, name: str) -> Iterator[Relation]:
    reader = _READERS.get(document.media_type)
    if reader is not None:
        yield from reader(document.text, name)
    else:
        yield from _mentions(document.text, name)


def _markdown(text: str, name: str) -> Iterator[Relation]:
    linked: list[tuple[int, int]] = []
    for match in _MARKDOWN_LINK.finditer(text):
        linked.append(match.span())
        target = (match[1] or match[2]).partition("#")[0]
        if target and not _SCHEME.match(target):
            path = _beside(name, unquote(target))
            yield Relation("links", path, path, *match.span())
        elif target.startswith(("http:", "https:")):
            yield Relation("links", target, target, *match.span())
    for one in _mentions(text, name):
        if not any(start <= one.start < end for start, end in linked):
            yield one


def _mentions(text: str, name: str) -> Iterator[Relation]:
    urls = [match.span() for match in _URL.finditer(text)]
    for start, end in urls:
        yield Relation("links", text[start:end].partition("#")[0], text[start:end].partition("#")[0], start, end)
    for match in _FILE.finditer(text):
        if not any(start <= match.start() < end for start, end in urls):
            yield Relation("mentions", match[0], posixpath.normpath(match[0]), *match.span())


def _python(text: str, name: str) -> Iterator[Relation]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    starts = _line_starts(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom | ast.Call):
            span = _span(node, text, starts)
            for kind, target, path in _python_targets(node, name):
                yield Relation(kind, target, path, *span)


def _python_targets(node: ast.AST, name: str) -> Iterator[tuple[Kind, str, str | None]]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield "imports", alias.name, alias.name.replace(".", "/") + ".py"
    elif isinstance(node, ast.ImportFrom):
        module = (node.module or "").replace(".", "/")
        base = _beside(name, "../" * (node.level - 1) + module) if node.level else module
        yield "imports", "." * node.level + (node.module or ""), f"{base}.py" if module else f"{base}/__init__.py"
    elif isinstance(node, ast.Call):
        called = node.func
        if isinstance(called, ast.Name | ast.Attribute) and (target := _dotted(called)):
            yield "calls", target, None


def _dotted(node: ast.expr) -> str | None:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else None


def _line_starts(text: str) -> list[int]:
    """Return where each line begins, as Python's parser counts lines."""
    return [0, *(match.end() for match in re.finditer(r"\r\n|\r|\n", text))]


def _span(node: ast.stmt | ast.expr, text: str, starts: list[int]) -> tuple[int, int]:
    def place(line: int, column: int) -> int:
        begin = starts[line - 1]
        end = starts[line] if line < len(starts) else len(text)
        return begin + len(text[begin:end].encode()[:column].decode(errors="ignore"))

    last = node.func if isinstance(node, ast.Call) else node
    return place(node.lineno, node.col_offset), place(last.end_lineno or node.lineno, last.end_col_offset or 0)


def _javascript(text: str, name: str) -> Iterator[Relation]:
    for match in _JS_IMPORT.finditer(text):
        target = match[2]
        path = _beside(name, target) if target.startswith(".") else None
        if path and "." not in posixpath.basename(path):
            path += posixpath.splitext(name)[1] or ".js"
        yield Relation("imports", target, path, *match.span())
    for match in _JS_CALL.finditer(text):
        if match[1] not in _JS_WORDS and not _JS_DEFINED.search(text, max(0, match.start() - 20), match.start()):
            yield Relation("calls", match[1], None, *match.span(1))


def _beside(name: str, target: str) -> str:
    """Return a path as it is written in the document `name`, from that document's folder."""
    scheme, slashes, rest = name.rpartition("://")
    joined = posixpath.normpath(posixpath.join(posixpath.dirname(rest), target)) if target else posixpath.dirname(rest)
    return f"{scheme}{slashes}{joined}"


_READERS: dict[str, Callable[[str, str], Iterator[Relation]]] = {
    "text/markdown": _markdown,
    "text/x-python": _python,
    "text/x-javascript": _javascript,
    "text/x-typescript": _javascript,
    "text/x-tsx": _javascript,
}
