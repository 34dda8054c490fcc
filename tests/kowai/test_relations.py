"""What a document refers to is found where it is said, and resolved from where the document lies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kowai.relations import relations
from kowai.types import LoadedDocument


def found(media_type: str, name: str, text: str) -> list[tuple[str, str, str | None, str]]:
    """Return kind, target, path and evidence of every relation."""
    document = LoadedDocument(text=text, media_type=media_type)
    return [(one.kind, one.target, one.path, text[one.start : one.end]) for one in relations(document, name)]


def test_markdown_links_and_named_files() -> None:
    text = "See [setup](../setup.md#x), report-2020.pdf and https://a.org/c.\n[1]: other.md\n[mail](mailto:x@y.z)"
    assert found("text/markdown", "/d/docs/a.md", text) == [
        ("links", "/d/setup.md", "/d/setup.md", "[setup](../setup.md#x)"),
        ("mentions", "report-2020.pdf", "report-2020.pdf", "report-2020.pdf"),
        ("links", "https://a.org/c", "https://a.org/c", "https://a.org/c"),
        ("links", "/d/docs/other.md", "/d/docs/other.md", "[1]: other.md"),
    ]


def test_python_imports_and_calls_by_characters_not_bytes() -> None:
    text = "é = '日'; import os.path\nfrom . import b\nfrom .c import d\nfrom kowai.search import find\nfind(os.x())\n"
    assert found("text/x-python", "/r/pkg/a.py", text) == [
        ("imports", "os.path", "os/path.py", "import os.path"),
        ("imports", ".", "/r/pkg/__init__.py", "from . import b"),
        ("imports", ".c", "/r/pkg/c.py", "from .c import d"),
        ("imports", "kowai.search", "kowai/search.py", "from kowai.search import find"),
        ("calls", "find", None, "find"),
        ("calls", "os.x", None, "os.x"),
    ]


def test_javascript_imports_and_calls_but_no_definitions() -> None:
    text = "import a from './b'\nconst x = require('fs')\nfunction foo() { if (a) bar.baz(1) }\n"
    assert found("text/x-javascript", "/r/x/a.js", text) == [
        ("imports", "./b", "/r/x/b.js", "from './b'"),
        ("imports", "fs", None, "require('fs'"),
        ("calls", "bar.baz", None, "bar.baz"),
    ]


def test_an_address_keeps_its_scheme_when_links_are_resolved() -> None:
    (link,) = found("text/markdown", "https://a.org/docs/one.md", "[two](two.md)")
    assert link[1] == "https://a.org/docs/two.md"


def test_code_that_cannot_be_parsed_refers_to_nothing() -> None:
    assert found("text/x-python", "a.py", "def (:") == []


@pytest.mark.parametrize("kind", ["text/markdown", "text/x-python", "text/x-javascript", "text/plain"])
@given(text=st.text(alphabet=st.sampled_from("[]()./:#aé\n '\"import fromhtps")))
def test_whatever_a_text_holds_its_relations_lie_in_it(kind: str, text: str) -> None:
    for one in relations(LoadedDocument(text=text, media_type=kind), "/a/b.md"):
        assert 0 <= one.start < one.end <= len(text)
        assert one.target
