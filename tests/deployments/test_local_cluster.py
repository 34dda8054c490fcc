import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deployments.local import cluster, postgres
from deployments.local.layout import Layout, make_folders
from deployments.local.members import Member
from deployments.local.os_user import open_way
from deployments.local.preparation import clear_leftovers
from deployments.local.record import birth
from deployments.local.stack import embedded_database
from kowai.errors import CannotStart
from tests.conftest import quick_folder

CODE = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
MAKE = (sys.executable, "-m", "deployments.local.cluster")
FINISHED = ("PG_VERSION", "global/pg_control", "base/1/PG_VERSION", "base/5/PG_VERSION")


def eventually(condition: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(0.02)


def pretend(folder: Path, *names: str, version: str = cluster.MAJOR) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{version}\n")


def new_place() -> Layout:
    """Return a state directory that PostgreSQL's user may pass through, unlike those below pytest's own."""
    place = Layout(quick_folder("kowai-cluster-"))
    place.root.chmod(0o711)
    make_folders(place)
    return place


@pytest.fixture(scope="module")
def made() -> Iterator[Layout]:
    """Run initdb once for this module."""
    place = new_place()
    subprocess.run([*MAKE, place.root], check=True, capture_output=True, env=CODE)
    yield place
    shutil.rmtree(place.root)


@pytest.fixture
def server(made: Layout) -> Iterator[Member]:
    (child,) = embedded_database(made)
    member = Member(child, made)
    member.start()
    eventually(member.is_ready)
    yield member
    member.stop(lambda: False)


def test_initdb_leaves_a_complete_cluster_and_no_draft(made: Layout) -> None:
    assert cluster.inspect(made) == "complete"
    assert not list(made.root.glob(f"{cluster.DRAFTS}*"))
    assert made.cluster.stat().st_mode & 0o777 == 0o700


def test_the_embedded_server_has_vectors_and_knows_its_owner_by_the_os_user(made: Layout, server: Member) -> None:
    with psycopg.connect(postgres.owner_url(made.cluster, "postgres")) as connection:
        connection.execute("create extension vector")
        assert connection.execute("select '[3,4]'::vector <-> '[0,0]'").fetchone() == (5.0,)
        assert connection.execute("show listen_addresses").fetchone() == ("",)


def lines(place: Layout) -> list[dict[str, Any]]:
    return [json.loads(line) for line in place.database_lines.read_text().splitlines()]


def test_its_log_is_json_and_holds_no_value_of_a_statement_that_failed(made: Layout, server: Member) -> None:
    failing = (
        ("select %s::text::int", "22P02"),
        ("insert into held values (%s)", "23514"),
        ("select 'carmen planted' as literal, %s, 1 / 0", "22012"),
        (
            "do $$ begin raise warning 'carmen planted'; raise log 'this is told'; raise 'carmen planted'; end $$",
            "P0001",
        ),
        ("select 'carmen planted', pg_terminate_backend(pg_backend_pid())", "57P01"),
    )
    with psycopg.connect(postgres.owner_url(made.cluster, "postgres"), autocommit=True) as connection:
        connection.execute("create table held (a text check (length(a) < 3))")
        for statement, sqlstate in failing:
            with pytest.raises(psycopg.Error) as failed:
                connection.execute(statement, ("carmen planted",) if "%s" in statement else None)
            assert failed.value.sqlstate == sqlstate
    eventually(lambda: any(line["state_code"] == "57P01" for line in lines(made) if "state_code" in line))
    assert "this is told" in [line["message"] for line in lines(made)]
    kept = [path for path in (*made.root.glob("logs/*"), *made.cluster.glob("log/*")) if path.is_file()]
    assert made.database_lines in kept
    assert not [path for path in kept if "planted" in path.read_text()]


def test_a_death_is_told_by_the_lines_of_the_server(made: Layout) -> None:
    (child,) = embedded_database(made)
    member, lock = Member(child, made), postgres.socket_folder(made.cluster) / f".s.PGSQL.{postgres.PORT}.lock"
    lock.write_text("no number")
    member.start()
    eventually(lambda: member.exit_code() is not None and any("bogus" in line["message"] for line in lines(made)))
    lock.unlink()
    member.bury(member.exit_code() or 0)
    assert "FATAL: bogus data in lock file" in member.sentence
    assert str(made.database_lines) in member.sentence


def test_plain_lines_are_written_to_its_output(made: Layout) -> None:
    (child,) = embedded_database(made, as_json=False)
    assert child.lines is None
    assert "log_destination=jsonlog" not in child.command


def test_the_application_role_needs_its_password(made: Layout, server: Member) -> None:
    url = postgres.owner_url(made.cluster, "postgres")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create role somebody login password 'right'")
    with psycopg.connect(url.replace("postgres@", "somebody:right@")) as connection:
        assert connection.execute("select current_user").fetchone() == ("somebody",)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url.replace("postgres@", "somebody:wrong@"))


def test_stopping_is_a_clean_shutdown(made: Layout) -> None:
    (child,) = embedded_database(made)
    member = Member(child, made)
    member.start()
    eventually(member.is_ready)
    with psycopg.connect(postgres.owner_url(made.cluster, "postgres")):  # an open connection does not hold it up
        member.stop(lambda: False)
    assert not (made.cluster / "postmaster.pid").exists()
    assert "database system is shut down" in [line["message"] for line in lines(made)]


def test_a_server_left_over_by_a_killed_kowai_is_found_and_stopped(made: Layout) -> None:
    (child,) = embedded_database(made)
    member = Member(child, made)
    member.start()
    eventually(member.is_ready)
    made.record.unlink(missing_ok=True)
    assert clear_leftovers(made) == ["postgres"]
    eventually(lambda: not member.runs)


def test_a_pid_file_whose_number_is_somebody_elses_now_harms_nobody(made: Layout) -> None:
    pid_file = made.cluster / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{made.cluster}\n{int(birth(os.getpid())) - 5000}\n")
    assert clear_leftovers(made) == []
    pid_file.unlink()


def test_an_initdb_killed_half_way_is_cleared_away() -> None:
    place = new_place()
    with subprocess.Popen(
        [*MAKE, place.root],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        env=CODE,
    ) as process:
        eventually(lambda: list(place.root.glob(f"{cluster.DRAFTS}*/base")))
        os.killpg(process.pid, signal.SIGKILL)
    assert cluster.inspect(place) == "absent"
    assert cluster.heal(place) == []
    assert not list(place.root.glob(f"{cluster.DRAFTS}*"))
    shutil.rmtree(place.root)


def test_data_that_initdb_never_finished_is_moved_aside_and_not_deleted(tmp_path: Path) -> None:
    place = Layout(tmp_path)
    pretend(place.cluster, "PG_VERSION", "global/pg_control", "base/1/PG_VERSION")
    assert cluster.inspect(place) == "unfinished"
    (sentence,) = cluster.heal(place)
    (aside,) = tmp_path.glob("postgres.unfinished-*")
    assert str(aside) in sentence
    assert (aside / "PG_VERSION").exists()
    assert cluster.inspect(place) == "absent"


@pytest.mark.parametrize("lost", ["PG_VERSION", "global/pg_control"])
def test_damaged_data_is_refused_and_left_alone(tmp_path: Path, lost: str) -> None:
    place = Layout(tmp_path)
    pretend(place.cluster, *(name for name in FINISHED if name != lost))
    with pytest.raises(CannotStart, match=r"damaged.*Nothing was changed"):
        cluster.inspect(place)
    assert cluster.heal(place) == []
    assert place.cluster.exists()


def test_data_of_another_major_version_is_refused(tmp_path: Path) -> None:
    place = Layout(tmp_path)
    pretend(place.cluster, *FINISHED, version="16")
    with pytest.raises(CannotStart, match=r"made by PostgreSQL 16, this is 18"):
        cluster.inspect(place)


def test_a_path_too_long_for_a_socket_gets_a_private_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    deep = tmp_path / ("x" * 100) / "postgres"
    postgres.make_socket_folder(deep)
    folder = postgres.socket_folder(deep)
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o777 == 0o700
    postgres.make_socket_folder(deep)  # a second start finds its own


def test_a_socket_folder_that_somebody_else_made_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    deep = tmp_path / ("x" * 100) / "postgres"
    postgres.socket_folder(deep).mkdir(mode=0o777)
    postgres.socket_folder(deep).chmod(0o777)
    with pytest.raises(CannotStart, match="belongs to somebody else"):
        postgres.make_socket_folder(deep)


def test_passing_through_never_means_listing(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "inner").mkdir(parents=True)
    closed.chmod(0o700)
    assert closed in open_way((closed / "inner",), "anybody")
    assert closed.stat().st_mode & 0o777 == 0o701
    assert open_way((closed / "inner",), None) == []


def test_only_the_server_that_was_started_counts_as_ready(tmp_path: Path) -> None:
    lines = ["77", "/data", "1", "5432", "/run", "", "0 0", "ready   "]
    (tmp_path / "postmaster.pid").write_text("\n".join(lines))
    assert postgres.is_ready(tmp_path, 77)
    assert not postgres.is_ready(tmp_path, 78)
    assert not postgres.is_ready(tmp_path / "absent", 77)


@pytest.mark.parametrize(("memory", "kept"), [(0, 128), (6 << 30, 201), (64 << 30, 256)])
def test_what_was_read_is_kept_in_a_part_of_the_memory_within_bounds(memory: int, kept: int) -> None:
    assert postgres.buffers(memory) == kept
