"""The house and its plan agree: arrows point down, rooms stay small, names say what they are."""

import ast
import re
import statistics
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
STOREYS = ["kowai", "blocks", "tasks", "flows", "deployments"]
TESTED = [*STOREYS, "benchmarks"]
FORBIDDEN_NAMES = {"utils", "helpers", "manager", "service", "factory", "base", "common", "misc"}
ENDS_ABRUPTLY = {"__init__.py"}

SOURCES = sorted(path for storey in TESTED for path in (ROOT / storey).rglob("*.py"))


def written(path: Path) -> str:
    return str(path.relative_to(ROOT))


def lines(path: Path) -> int:
    return path.read_text().count("\n")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_imports_point_down_only() -> None:
    linter = Path(sys.executable).parent / "lint-imports"
    run = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout


def test_no_file_is_longer_than_250_lines() -> None:
    assert [written(path) for path in SOURCES if lines(path) > 250] == []


def test_the_median_file_has_at_most_80_lines() -> None:
    sizes = [lines(path) for path in SOURCES if path.name not in ENDS_ABRUPTLY]
    assert statistics.median(sizes) <= 80


def test_no_function_is_longer_than_50_lines() -> None:
    too_long = [
        f"{written(path)}: {node.name} ({length(node)})"
        for path in SOURCES
        for node in functions(path)
        if length(node) > 50
    ]
    assert not too_long


def test_the_median_function_has_at_most_12_lines() -> None:
    assert statistics.median(length(node) for path in SOURCES for node in functions(path)) <= 12


def test_no_function_takes_more_than_five_positional_parameters() -> None:
    greedy = [
        f"{written(path)}: {node.name}"
        for path in SOURCES
        for node in functions(path)
        if len([*node.args.posonlyargs, *node.args.args]) > 6
    ]
    assert not greedy


def test_names_say_what_a_file_is_for() -> None:
    names = [written(path.with_suffix("")) for path in SOURCES if path.parent.name != "personas"]
    assert [name for name in names if FORBIDDEN_NAMES & {*re.split(r"[_./]", name)}] == []


def test_every_file_opens_with_a_sentence_about_itself() -> None:
    assert [written(path) for path in SOURCES if path.read_text() and not ast.get_docstring(tree(path))] == []


def test_a_flow_is_a_story_of_at_most_60_lines() -> None:
    files = [*(ROOT / "flows").glob("[!_]*.py")]
    stories = {path: [node for node in functions(path) if node.decorator_list] for path in files}
    assert [path.name for path in files if not stories[path]] == []
    rambling = [
        f"{path.name}: {node.name}"
        for path in files
        for node in stories[path]
        if not isinstance(node, ast.AsyncFunctionDef) or length(node) > 60
    ]
    assert not rambling


def test_the_core_has_no_clock_and_no_environment() -> None:
    outside = re.compile(r"datetime\.now|time\.time\(|os\.environ|getenv|import socket")
    assert [written(path) for path in (ROOT / "kowai").rglob("*.py") if outside.search(path.read_text())] == []


def test_a_task_calls_no_other_task() -> None:
    steps = {
        node.name: path
        for path in (ROOT / "tasks").glob("*.py")
        for node in functions(path)
        if any(isinstance(mark, ast.Name) and mark.id == "step" for mark in node.decorator_list)
    }
    assert steps
    calls = [
        f"{path.name}: {call.func.id}"
        for path in (ROOT / "tasks").glob("*.py")
        for call in ast.walk(tree(path))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in steps
    ]
    assert not calls
