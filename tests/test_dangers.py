"""Nothing of a user's is run: no code, no pickle, no formula, and nothing unexpected at Python's start."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.local.computer_checks import check_startup_files
from kowai.spreadsheets import FORMULA, harmless

ROOT = Path(__file__).parent.parent
SOURCES = [
    path for storey in ("kowai", "blocks", "tasks", "flows", "deployments") for path in (ROOT / storey).rglob("*.py")
]
RUNNING = {"eval", "exec", "compile", "__import__"}
UNPICKLING = {"pickle", "cloudpickle", "dill", "marshal", "shelve", "joblib", "jsonpickle"}
WRITERS = {"writer", "DictWriter"}


def dangers(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name.partition(".")[0] in UNPICKLING)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in UNPICKLING:
            yield str(node.module)
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in RUNNING:
                yield node.func.id
            yield from (
                f"{each.arg}=True" for each in node.keywords if each.arg == "allow_pickle" and is_true(each.value)
            )


def is_true(node: ast.expr) -> bool:
    return not (isinstance(node, ast.Constant) and node.value is False)


def test_no_file_runs_text_or_reads_pickles() -> None:
    found = {str(path.relative_to(ROOT)): [*dangers(ast.parse(path.read_text()))] for path in SOURCES}
    assert {path: what for path, what in found.items() if what} == {}


@pytest.mark.parametrize(
    "code", ["eval(x)", "exec(x)", "import pickle", "from joblib import load", "np.load(f, allow_pickle=True)"]
)
def test_the_scan_finds_what_it_looks_for(code: str) -> None:
    assert list(dangers(ast.parse(code)))


def test_every_file_that_writes_csv_makes_its_cells_harmless() -> None:
    writing = [path for path in SOURCES if WRITERS & {f"{name}" for name in csv_calls(ast.parse(path.read_text()))}]
    assert len(writing) >= 2
    assert [path.name for path in writing if "harmless(" not in path.read_text()] == []


def csv_calls(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "csv":
            yield node.attr


@pytest.mark.parametrize("start", FORMULA)
def test_no_cell_begins_as_a_formula(start: str) -> None:
    for cell in (f"{start}cmd|'/C calc'!A0", f"  {start}HYPERLINK(1)"):
        assert harmless(cell) == f"'{cell}"


def test_nothing_unexpected_runs_when_python_starts() -> None:
    assert [finding.sentence for finding in check_startup_files() if finding.level == "fail"] == []
