"""The house and its plan agree: arrows point down, rooms stay small, names say what they are."""

import ast
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STOREYS = ["kowai", "blocks", "tasks", "flows", "deployments"]
TESTED = [*STOREYS, "benchmarks"]
FORBIDDEN_NAMES = {"utils", "helpers", "manager", "service", "factory", "base", "common", "misc"}
ENDS_ABRUPTLY = {"__init__.py"}

SOURCES = sorted(path for storey in TESTED for path in (ROOT / storey).rglob("*.py"))
TREES = {path: ast.parse(path.read_text()) for path in SOURCES}


def lines(path: Path) -> int:
    return path.read_text().count("\n")


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(TREES[path]) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_imports_point_down_only() -> None:
    linter = Path(sys.executable).parent / "lint-imports"
    run = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_longer_than_250_lines(path: Path) -> None:
    assert lines(path) <= 250


def test_the_median_file_has_at_most_80_lines() -> None:
    sizes = [lines(path) for path in SOURCES if path.name not in ENDS_ABRUPTLY]
    assert statistics.median(sizes) <= 80


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_function_is_longer_than_50_lines(path: Path) -> None:
    too_long = [f"{node.name} ({length(node)})" for node in functions(path) if length(node) > 50]
    assert not too_long


def test_the_median_function_has_at_most_12_lines() -> None:
    assert statistics.median(length(node) for path in SOURCES for node in functions(path)) <= 12


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_function_takes_more_than_five_positional_parameters(path: Path) -> None:
    greedy = [node.name for node in functions(path) if len([*node.args.posonlyargs, *node.args.args]) > 6]
    assert not greedy


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if path.parent.name != "personas"], ids=lambda path: str(path.relative_to(ROOT))
)
def test_names_say_what_a_file_is_for(path: Path) -> None:
    words = set(re.split(r"[_./]", str(path.relative_to(ROOT).with_suffix(""))))
    assert not words & FORBIDDEN_NAMES


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_opens_with_a_sentence_about_itself(path: Path) -> None:
    assert path.read_text() == "" or ast.get_docstring(TREES[path])


@pytest.mark.parametrize("path", sorted((ROOT / "flows").glob("[!_]*.py")), ids=lambda path: path.name)
def test_a_flow_is_a_story_of_at_most_60_lines(path: Path) -> None:
    stories = [node for node in functions(path) if node.decorator_list]
    assert stories
    assert all(isinstance(node, ast.AsyncFunctionDef) and length(node) <= 60 for node in stories)


@pytest.mark.parametrize("path", sorted((ROOT / "kowai").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_core_has_no_clock_and_no_environment(path: Path) -> None:
    source = path.read_text()
    assert not re.search(r"datetime\.now|time\.time\(|os\.environ|getenv|import socket", source)


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
        for call in ast.walk(TREES[path])
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in steps
    ]
    assert not calls
