import os
import signal
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from deployments.local import members
from deployments.local.layout import Layout, make_folders
from deployments.local.processes import LARGEST_LOG_BYTES, Child, cause_of_death, trim
from deployments.local.record import read_record
from deployments.local.supervisor import Supervisor
from kowai.errors import CannotStart

PATIENT = "import time\nwhile True: time.sleep(0.05)"


class Heard:
    """Keep what a person would have been shown."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.sentences: list[str] = []

    def started(self, name: str) -> None:
        self.order.append(f"start {name}")

    def ready(self, name: str, seconds: float) -> None:
        self.order.append(f"ready {name}")

    def tell(self, sentence: str) -> None:
        self.sentences.append(sentence)


def child(name: str, code: str = PATIENT, **options: object) -> Child:
    command = (sys.executable, "-S", "-c", textwrap.dedent(code))
    return Child(name, command, lambda: dict(os.environ), **options)  # pyright: ignore[reportArgumentType]


@pytest.fixture
def place(tmp_path: Path) -> Layout:
    make_folders(Layout(tmp_path))
    return Layout(tmp_path)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def supervised(place: Layout, heard: Heard) -> Iterator[Callable[..., Supervisor]]:
    running: list[Supervisor] = []

    def build(*children: Child) -> Supervisor:
        running.append(Supervisor(children, place, heard))
        return running[-1]

    yield build
    for supervisor in running:
        supervisor.stop_all(hurry=lambda: True)


def never() -> bool:
    return False


def tick_until(supervisor: Supervisor, condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "it never came to pass"
        supervisor.tick()
        time.sleep(0.01)


def test_a_child_starts_only_when_all_it_waits_for_are_up(supervised: Callable[..., Supervisor], heard: Heard) -> None:
    supervisor = supervised(
        child("prepare", "print('done')", once=True), child("server", after=("prepare",)), child("other")
    )
    assert supervisor.start_all(never, limit=120)
    assert heard.order.index("ready prepare") < heard.order.index("start server")
    assert heard.order.index("start other") < heard.order.index("ready prepare")


def test_a_child_counts_as_ready_when_its_check_says_so(
    supervised: Callable[..., Supervisor], place: Layout, heard: Heard
) -> None:
    signs = iter([False, False, True])
    supervisor = supervised(child("slow", is_ready=lambda _: next(signs)))
    supervisor.tick()
    assert [supervisor.tick() or supervisor.members["slow"].state for _ in range(3)] == [
        "starting",
        "starting",
        "ready",
    ]


def test_what_runs_is_written_down_with_pid_and_birth(supervised: Callable[..., Supervisor], place: Layout) -> None:
    supervisor = supervised(child("server", port=1234, url="http://127.0.0.1:1234"))
    supervisor.start_all(never, limit=120)
    record = read_record(place.record)
    assert record
    assert record.pid == os.getpid()
    (process,) = record.processes
    assert (process.name, process.state, process.port) == ("server", "ready", 1234)
    assert psutil.Process(process.pid).create_time() == process.born


def test_a_child_that_dies_is_started_again_and_the_restart_is_counted(
    supervised: Callable[..., Supervisor], place: Layout, heard: Heard
) -> None:
    supervisor = supervised(child("server"))
    supervisor.start_all(never, limit=120)
    member = supervisor.members["server"]
    assert member.popen
    first = member.popen.pid
    os.kill(first, signal.SIGKILL)
    tick_until(supervisor, lambda: member.state == "restarting")
    tick_until(supervisor, lambda: member.state == "ready")
    assert member.popen.pid != first
    assert "server was killed by signal 9" in heard.sentences[0]
    record = read_record(place.record)
    assert record
    assert record.processes[0].restarts == 1


def test_each_restart_waits_longer_and_then_the_child_is_called_failing(
    supervised: Callable[..., Supervisor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members, "FIRST_PAUSE_SECONDS", 0.01)
    supervisor = supervised(child("broken", "raise SystemExit('error: no luck')", is_ready=lambda _: False))
    member = supervisor.members["broken"]
    pauses: list[float] = []
    while member.state != "failing":
        deaths = len(member.deaths)
        tick_until(supervisor, lambda deaths=deaths: len(member.deaths) > deaths)
        pauses.append(member.due - member.deaths[-1])
    assert pauses == pytest.approx([0.01, 0.02, members.LONGEST_PAUSE_SECONDS])
    assert "error: no luck" in member.sentence


def test_a_child_that_cannot_be_launched_is_tried_again_and_brings_nobody_down(
    supervised: Callable[..., Supervisor], heard: Heard
) -> None:
    refusals = iter([OSError("disk full"), None])

    def prepare() -> None:
        if (refusal := next(refusals)) is not None:
            raise refusal

    supervisor = supervised(child("fine"), child("unlucky", prepare=prepare))
    assert supervisor.start_all(never, limit=120)
    assert heard.sentences[0].startswith("unlucky could not be started: disk full; next try in")


def test_a_start_that_cannot_succeed_ends_with_the_cause_in_one_sentence(supervised: Callable[..., Supervisor]) -> None:
    supervisor = supervised(child("schema", "raise SystemExit('error: out of disk')", once=True))
    with pytest.raises(CannotStart, match=r"cannot start: schema ended with code 1: error: out of disk .*log: "):
        supervisor.start_all(never, limit=120)


def test_a_start_that_takes_too_long_names_what_is_missing(supervised: Callable[..., Supervisor]) -> None:
    supervisor = supervised(child("fine"), child("late", is_ready=lambda _: False))
    with pytest.raises(CannotStart, match=r"Not ready after 1 seconds: late\."):
        supervisor.start_all(never, limit=1)


def test_a_request_to_stop_ends_the_start(supervised: Callable[..., Supervisor]) -> None:
    assert supervised(child("late", is_ready=lambda _: False)).start_all(lambda: True, limit=120) is False


def test_children_stop_last_first_and_each_before_the_next(
    supervised: Callable[..., Supervisor], place: Layout, heard: Heard
) -> None:
    diary = place.root / "diary"
    code = """
        import signal, sys, time
        def leave(*_):
            open(sys.argv[1], "a").write(sys.argv[2]); sys.exit()
        signal.signal(signal.SIGTERM, leave)
        print("up", flush=True)
        while True: time.sleep(0.05)
    """
    children = [child(name, code) for name in "abc"]
    children = [
        one._replace(
            command=(*one.command, str(diary), one.name),
            is_ready=lambda _, name=one.name: "up" in place.log(name).read_text(),
        )
        for one in children
    ]
    supervisor = supervised(*children)
    supervisor.start_all(never, limit=120)
    supervisor.stop_all(never)
    assert diary.read_text() == "cba"
    assert heard.sentences == ["Stopping c ...", "Stopping b ...", "Stopping a ..."]
    record = read_record(place.record)
    assert record
    assert record.processes == []


def test_a_child_that_ignores_the_request_is_killed_with_its_own_children(
    supervised: Callable[..., Supervisor], place: Layout
) -> None:
    code = """
        import signal, subprocess, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        inner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
        print(inner.pid, flush=True)
        while True: time.sleep(0.05)
    """
    log = place.log("stubborn")
    supervisor = supervised(child("stubborn", code, is_ready=lambda _: log.read_text().endswith("\n")))
    supervisor.start_all(never, limit=120)
    inner = psutil.Process(int(log.read_text()))
    supervisor.stop_all(hurry=lambda: True)
    assert not supervisor.members["stubborn"].runs
    assert not inner.is_running() or inner.status() == psutil.STATUS_ZOMBIE


def test_children_are_out_of_reach_of_the_terminals_ctrl_c(supervised: Callable[..., Supervisor]) -> None:
    supervisor = supervised(child("server"))
    supervisor.start_all(never, limit=120)
    member = supervisor.members["server"]
    assert member.popen
    assert os.getpgid(member.popen.pid) == member.popen.pid != os.getpgid(0)


def test_the_cause_is_this_runs_last_line_that_speaks_of_an_error(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("ValueError: from an earlier run\n")
    begin = log.stat().st_size
    with log.open("a") as file:
        file.write("starting\nFATAL:  lock file exists\nHINT: look elsewhere\n\n")
    assert cause_of_death(log, begin) == "FATAL:  lock file exists"
    assert cause_of_death(log, log.stat().st_size) == ""
    assert cause_of_death(tmp_path / "absent", 0) == ""


def test_a_log_past_its_bound_starts_again_and_the_old_one_is_kept_once(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    with log.open("ab") as writer:
        os.truncate(log, LARGEST_LOG_BYTES + 1)
        trim(log)
        writer.write(b"more\n")
    assert log.read_bytes() == b"more\n"
    assert (tmp_path / "server.log.1").stat().st_size == LARGEST_LOG_BYTES + 1
