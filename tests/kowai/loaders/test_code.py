import pytest
from hypothesis import given
from hypothesis import strategies as st

from kowai.chunking import chunk
from kowai.loaders.code import LANGUAGES, OF_SUFFIX, load

PYTHON = '''"""Money."""

import decimal


@frozen
class Ledger:
    """Keep accounts."""

    async def settle(self, é: int) -> None:
        def inner(): ...

    limit = 7


def main():
    Ledger()


main()
'''


def sections(source: str, name: str) -> list[tuple[str, str]]:
    """Return the qualified name and the first line of each section."""
    document = load(source.encode(), name)
    return [(heading.title, document.text[heading.start :].strip().split("\n")[0]) for heading in document.headings]


def test_python_is_cut_at_its_functions_and_classes() -> None:
    assert sections(PYTHON, "a.py") == [
        ("Ledger", "@frozen"),
        ("Ledger.settle", "async def settle(self, é: int) -> None:"),
        ("Ledger", "limit = 7"),
        ("main", "def main():"),
        ("", "main()"),
    ]


def test_each_function_and_class_is_a_chunk_under_its_qualified_name() -> None:
    chunks = chunk(load(PYTHON.encode(), "a.py"))
    assert [(piece.heading_path, piece.text.split("\n")[0].strip()) for piece in chunks] == [
        ("", '"""Money."""'),
        ("Ledger", "@frozen"),
        ("Ledger.settle", "async def settle(self, é: int) -> None:"),
        ("Ledger", "limit = 7"),
        ("main", "def main():"),
        ("", "main()"),
    ]


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("a.js", "// é\nexport class A {\n  run() { return 1 }\n}\nconst f = (x) => x;\n", ["A", "A.run", "A", "f"]),
        ("a.ts", "interface I { x: number }\nnamespace N { function g(): void {} }\n", ["I", "N", "N.g"]),
        ("a.tsx", "export function App() { return <p>hi</p> }\n", ["App"]),
        ("a.java", "class A {\n  /** Doc. */\n  int run() { return 1; }\n}\n", ["A", "A.run"]),
        (
            "a.go",
            "package p\n\n// Run runs.\nfunc (s *Store) Run() {}\n\ntype Store struct{}\n",
            ["Store.Run", "Store"],
        ),
        ("a.rs", "/// Doc\nstruct A;\nimpl A {\n    fn run(&self) {}\n}\n", ["A", "A", "A.run"]),
        ("a.c", "struct node { int x; };\nstatic int *run(struct node *n) { return 0; }\n", ["node", "run"]),
        (
            "a.cpp",
            "namespace n { template <class T> class A { void f() {} }; }\nvoid n::A::g() {}\n",
            ["n", "n.A", "n.A.f"],
        ),
        ("a.cs", "namespace N { class A { public void Run() { } } }", ["N", "N.A", "N.A.Run"]),
        ("a.rb", "module M\n  class A\n    def run\n    end\n  end\nend\n", ["M", "M.A", "M.A.run"]),
        ("a.php", "<?php\nclass A { function run() {} }\n", ["A", "A.run"]),
    ],
)
def test_each_language_names_what_it_defines(name: str, source: str, expected: list[str]) -> None:
    found = [title for title, _ in sections(source, name)]
    assert [title for title in expected if title not in found] == []
    assert found[0] in expected


def test_a_comment_belongs_to_what_it_stands_above() -> None:
    assert ("A.run", "/** Doc. */") in sections(
        "class A {\n  int x;\n\n  /** Doc. */\n  int run() { return 1; }\n}\n", "a.java"
    )


def test_code_that_does_not_parse_and_languages_without_grammar_are_read_whole() -> None:
    assert sections("def broken(:", "a.py") == []
    assert sections("f() { echo hi; }", "a.sh") == []
    assert load(b"a: 1", "a.yaml").metadata == {"programming_language": "yaml"}


@given(
    st.sampled_from(sorted(OF_SUFFIX)),
    st.lists(st.sampled_from([*"{}()<>;:\n é#/*'\"", "class A", "def f", "fn g"])),
)
def test_any_text_is_kept_and_cut_into_chunks_that_miss_nothing(suffix: str, words: list[str]) -> None:
    text = "".join(words)
    document = load(text.encode(), f"a{suffix}")
    assert document.text == text
    assert [heading.start for heading in document.headings] == sorted(heading.start for heading in document.headings)
    covered = {place for piece in chunk(document, 20, 0) for place in range(piece.start, piece.end)}
    assert all(character.isspace() or place in covered for place, character in enumerate(text))


def test_no_two_languages_claim_a_suffix() -> None:
    assert len(OF_SUFFIX) == sum(len(suffixes.split()) for suffixes in LANGUAGES.values())
