"""Where the functions, classes and methods of source code begin and end: Python by `ast`, the rest by tree-sitter."""

import ast
import importlib
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from tree_sitter import Language, Node, Parser

from kowai.types import Heading

GRAMMARS = {
    "javascript": ("tree_sitter_javascript", "language"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "tsx": ("tree_sitter_typescript", "language_tsx"),
    "java": ("tree_sitter_java", "language"),
    "go": ("tree_sitter_go", "language"),
    "rust": ("tree_sitter_rust", "language"),
    "c": ("tree_sitter_c", "language"),
    "cpp": ("tree_sitter_cpp", "language"),
    "c-sharp": ("tree_sitter_c_sharp", "language"),
    "ruby": ("tree_sitter_ruby", "language"),
    "php": ("tree_sitter_php", "language_php"),
}
LONGEST_NAME = 200
_KINDS = re.compile(
    "((generator_)?function|method|constructor|class|interface|struct|union|enum|record|trait|namespace|module|impl|mod)"
    "_(definition|declaration|item|specifier|statement)|abstract_class_declaration|internal_module|type_spec"
    "|class|module|method|singleton_method|template_function"
)
_WRAPPERS = frozenset(("export_statement", "template_declaration", "ambient_declaration", "type_declaration"))
_FUNCTIONS = frozenset(("arrow_function", "function_expression", "function", "generator_function"))


class Definition(NamedTuple):
    """Name what is defined at characters [start, end), with the names of all it stands in."""

    name: str
    start: int
    end: int


def sections(text: str, language: str) -> tuple[Heading, ...]:
    """Return a heading where each definition begins, and one with the outer name where the outer code goes on."""
    if language == "python":
        found = _python(text)
    elif language in GRAMMARS:
        found = _parsed(text, language)
    else:
        return ()
    return tuple(_headings(found, text))


def _headings(definitions: list[Definition], text: str) -> Iterator[Heading]:
    outer: list[Definition] = []
    position = 0
    for definition in [*sorted(definitions, key=lambda found: (found.start, -found.end)), None]:
        start = len(text) if definition is None else definition.start
        while outer and outer[-1].end <= start:
            position = outer.pop().end
            stop = min(start, outer[-1].end) if outer else start
            if text[position:stop].strip():
                yield Heading(1, outer[-1].name if outer else "", position)
        if definition is not None:
            yield Heading(1, definition.name, start)
            outer.append(definition)


def _python(text: str) -> list[Definition]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    lines = [0, *(end.end() for end in re.finditer(r"\r\n|\r|\n", text)), len(text)]
    found: list[Definition] = []
    waiting: list[tuple[ast.AST, str]] = [(tree, "")]
    while waiting:
        node, above = waiting.pop()
        name = above
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{above}.{node.name}".lstrip(".")[:LONGEST_NAME]
            first = min(node.lineno, *(mark.lineno for mark in node.decorator_list), node.lineno)
            found.append(Definition(name, lines[first - 1], lines[min(node.end_lineno or first, len(lines) - 1)]))
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.expr):  # what is local stays inside
            waiting.extend((inner, name) for inner in ast.iter_child_nodes(node))
    return found


@cache
def _parser(language: str) -> Parser:
    module, function = GRAMMARS[language]
    pointer: Any = getattr(importlib.import_module(module), function)()
    return Parser(Language(pointer))  # pyright: ignore[reportDeprecated] -- it is a capsule, not an integer


def _parsed(text: str, language: str) -> list[Definition]:
    data = text.encode()
    found: list[tuple[str, int, int]] = []
    waiting: list[tuple[Node, str]] = [(_parser(language).parse(data).root_node, "")]
    while waiting:
        node, above = waiting.pop()
        name = _name(node)
        if name:
            name = f"{above}.{name}".lstrip(".")[:LONGEST_NAME]
            start, end = _extent(node)
            found.append((name, start, end))
        if not name or not _is_function(node):
            waiting.extend((inner, name or above) for inner in node.named_children)
    places = _characters(data, sorted({place for _, *extent in found for place in extent}))
    return [Definition(name, places[start], places[end]) for name, start, end in found]


def _characters(data: bytes, offsets: list[int]) -> dict[int, int]:
    """Return how many characters precede each of the ascending byte offsets."""
    places: dict[int, int] = {}
    byte = count = 0
    for offset in offsets:
        count += len(data[byte:offset].decode(errors="ignore"))
        byte = offset
        places[offset] = count
    return places


def _name(node: Node) -> str:
    """Return what a definition is called, or nothing for a node that defines nothing."""
    if node.type == "variable_declarator":
        value = node.child_by_field_name("value")
        return _text(node.child_by_field_name("name")) if value is not None and value.type in _FUNCTIONS else ""
    if not node.is_named or not _KINDS.fullmatch(node.type):
        return ""
    if node.type.endswith("_specifier") and node.child_by_field_name("body") is None:
        return ""  # a mention, as in `struct node *next`
    named = node.child_by_field_name("name") or node.child_by_field_name("type")
    if node.type == "function_definition" and node.child_by_field_name("declarator") is not None:
        named = _declared(node)
    receiver = re.search(r"(\w+)\W*\)$", _text(node.child_by_field_name("receiver")))
    name = re.sub(r"\s+", " ", _text(named)).replace("::", ".")
    return f"{receiver[1]}.{name}" if receiver and name else name


def _declared(node: Node) -> Node | None:
    """Return the name within the declarators of a C function."""
    inner = node.child_by_field_name("declarator")
    while inner is not None and (deeper := inner.child_by_field_name("declarator")) is not None:
        inner = deeper
    return inner


def _extent(node: Node) -> tuple[int, int]:
    """Return the bytes of a definition with its export, its template and the comments right above it."""
    while (parent := node.parent) is not None and (
        parent.type in _WRAPPERS or (parent.type == "lexical_declaration" and parent.named_child_count == 1)
    ):
        node = parent
    first = node
    while (above := first.prev_sibling) is not None and _belongs(above, first):
        first = above
    return first.start_byte, node.end_byte


def _belongs(above: Node, below: Node) -> bool:
    near = below.start_point[0] - above.end_point[0] <= 1
    return near and (above.type.endswith("comment") or above.type in ("attribute_item", "decorator"))


def _is_function(node: Node) -> bool:
    return "function" in node.type or "method" in node.type or node.type == "variable_declarator"


def _text(node: Node | None) -> str:
    return (node.text or b"").decode(errors="replace").strip() if node is not None else ""
