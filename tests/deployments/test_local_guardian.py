"""A supervisor that is killed leaves nothing running: its guardian, or else the next start, sees to it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from deployments.local.layout import Layout, make_folders
from deployments.local.preparation import clear_leftovers
from deployments.local.record import ProcessRecord, birth, find_process, own_record, read_record, write_record

ROOT = Path(__file__).parents[2]
SUPERVISE = """
import os, sys, time
from pathlib import Path
from deployments.local.display import PlainDisplay
from deployments.local.guardian import guarded
from deployments.local.layout import Layout
from deployments.local.processes import Child
from deployments.local.run import stopped_afterwards
from deployments.local.signals import stop_requests
from deployments.local.supervisor import Supervisor

place = Layout(Path(sys.argv[1]))
sleep = (sys.executable, "-S", "-c", "import time; time.sleep(600)")
children = [Child(name, sleep, lambda: dict(os.environ)) for name in ("first", "second")]
supervisor = Supervisor(children, place, PlainDisplay())
with stop_requests() as requests, guarded(place), stopped_afterwards(supervisor, requests):
    supervisor.start_all(requests.wanted, 120)
    supervisor.enter("ready")
    while not requests.wanted():
        supervisor.tick()
        time.sleep(0.02)
"""


def eventually(condition: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(0.02)


@pytest.fixture
def place(tmp_path: Path) -> Layout:
    make_folders(Layout(tmp_path))
    return Layout(tmp_path)


def start_supervisor(place: Layout) -> "tuple[subprocess.Popen[str], list[psutil.Process]]":
    command = [sys.executable, "-c", SUPERVISE, str(place.root)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)
    eventually(lambda: (record := read_record(place.record)) and record.phase == "ready")
    return process, psutil.Process(process.pid).children(recursive=True)


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_nothing_outlives_a_supervisor_that_was_killed(place: Layout) -> None:
    process, family = start_supervisor(place)
    assert len(family) == 3  # two children and the guardian
    process.kill()
    process.communicate()
    eventually(lambda: all(map(gone, family)))


def test_what_outlives_supervisor_and_guardian_is_stopped_by_the_next_start(place: Layout) -> None:
    process, family = start_supervisor(place)
    guardian = next(member for member in family if "deployments.local.guardian" in member.cmdline())
    guardian.kill()
    eventually(lambda: gone(guardian))
    process.kill()
    process.communicate()
    assert sum(not gone(member) for member in family) == 2
    assert clear_leftovers(place) == ["second", "first"]
    assert all(map(gone, family))
    assert clear_leftovers(place) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_stop_stops_everything_in_order(place: Layout, number: signal.Signals) -> None:
    process, family = start_supervisor(place)
    process.send_signal(number)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert said.index("Stopping second") < said.index("Stopping first")
    assert all(map(gone, family))
    record = read_record(place.record)
    assert record
    assert (record.phase, record.processes) == ("stopped", [])


def test_a_recorded_pid_that_somebody_else_has_now_is_never_touched(place: Layout) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as stranger:
        record = own_record()
        record.processes = [ProcessRecord("shim", stranger.pid, birth(stranger.pid) - 1000)]
        write_record(place.record, record)
        assert clear_leftovers(place) == []
        assert stranger.poll() is None
        assert find_process(stranger.pid, birth(stranger.pid))
        stranger.kill()


def test_a_record_cut_short_counts_as_none(place: Layout) -> None:
    place.record.write_text('{"pid": 12, "processes": [{"na')
    assert read_record(place.record) is None
    assert clear_leftovers(place) == []
