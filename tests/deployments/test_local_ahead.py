"""Processes forked from the forerunner: real forks, adopted by a supervisor that is a process of its own."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deployments.local import stack
from deployments.local.ahead import Ahead
from deployments.local.layout import Layout, make_folders
from deployments.local.processes import Child
from kowai.settings import Settings

ROOT = Path(__file__).parents[2]
WHOSE = """
import json, os, sys
told = [os.environ["SAID"], sys.argv[1:], os.getppid(), "prefect" in sys.modules, "flows.answer" in sys.modules]
print(json.dumps(told), flush=True)
sys.exit(7)
"""
SUPERVISOR = """
import json, os, sys, time
from pathlib import Path
from deployments.local.ahead import forerunner
from deployments.local.layout import Layout
from deployments.local.members import Member
from deployments.local.processes import Child
from kowai.settings import settings

place = Layout(Path(sys.argv[1]))
def child(name, shares):
    command = (sys.executable, "-m", "whose", name)
    return Child(name, command, lambda: os.environ | {"SAID": name}, shares=shares)

children = [child("first", 0), child("second", 1)]
with forerunner(place, settings(), children) as ahead:
    if "dead" in sys.argv:
        ahead.line.close()
        ahead.line = None
    for each in children:
        for _ in range(2):
            while not ahead.is_ready(each):
                time.sleep(0.01)
            member = Member(each, place)
            member.start(ahead.fork)
            print(json.dumps([type(member.popen).__name__, member.popen.wait(60), os.getpid()]), flush=True)
"""


@pytest.fixture
def place(tmp_path: Path) -> Layout:
    make_folders(Layout(tmp_path))
    (tmp_path / "whose.py").write_text(WHOSE)
    (tmp_path / "secrets" / "prefect-auth").write_text("kowai:of-a-test")
    (tmp_path / "secrets" / "prefect-auth").chmod(0o600)
    return Layout(tmp_path)


def supervise(place: Layout, *arguments: str) -> list[Any]:
    """Return how each process was started and ended, and what each said of itself."""
    own = {"PYTHONPATH": os.pathsep.join((str(ROOT), str(place.root))), "KOWAI_STATE": str(place.root)}
    command = [sys.executable, "-c", SUPERVISOR, str(place.root), *arguments]
    ended = subprocess.run(command, env=os.environ | own, capture_output=True, text=True, timeout=120)
    assert not ended.returncode, ended.stderr
    said = [line for name in ("first", "second") for line in place.log(name).read_text().splitlines()]
    return [(*json.loads(how), *json.loads(who)) for how, who in zip(ended.stdout.splitlines(), said, strict=True)]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt another's child")
def test_a_process_is_forked_with_what_it_shares_once_and_is_the_supervisors_child(place: Layout) -> None:
    found = supervise(place)
    assert [how for how, *_ in found] == ["Forked", "Popen", "Forked", "Popen"], "what starts again starts by itself"
    assert [code for _, code, *_ in found] == [7, 7, 7, 7]
    assert [(said, arguments) for _, _, _, said, arguments, *_ in found] == [
        (name, [name]) for name in ("first", "first", "second", "second")
    ]
    assert all(parent == supervisor for _, _, supervisor, _, _, parent, *_ in found)
    shared = [(prefect, flows) for *_, prefect, flows in found]
    assert shared == [(True, False), (False, False), (True, True), (False, False)]


def test_without_a_forerunner_every_process_starts_by_itself(place: Layout) -> None:
    assert [(how, code) for how, code, *_ in supervise(place, "dead")] == [("Popen", 7)] * 4


def test_nothing_waits_for_a_forerunner_that_is_gone(tmp_path: Path) -> None:
    child = Child("shim", ("python", "-m", "shim"), dict, shares=1)
    ours, theirs = socket.socketpair()
    with ours:
        waiting = Ahead(ours, [child])
        assert not waiting.is_ready(child)
        theirs.close()
        assert waiting.is_ready(child)
        assert waiting.fork(child, tmp_path / "log") is None


def test_prefect_shares_the_first_group_and_what_is_ours_the_second(
    place: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    settings = Settings(state=place.root)  # pyright: ignore[reportCallIssue]
    shares = {child.name: child.shares for child in stack.children(place, settings)}
    assert [name for name, group in shares.items() if group == 0] == ["prefect"]
    assert [name for name, group in shares.items() if group == 1] == ["worker", "shim"]
