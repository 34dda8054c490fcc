"""The whole tree, started by the real command: two starts, a killed one and its leftovers."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from deployments.local.layout import Layout
from deployments.local.ports import free_port
from deployments.local.record import StackRecord, read_record
from deployments.local.secret_files import read_secret
from tests.conftest import quick_folder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[2]
NAMES = ["postgres", "prefect", "worker", "shim"]


class Installation:
    """Hold a state directory, its ports and how to run `kowai` with them."""

    def __init__(self) -> None:
        self.place = Layout(quick_folder("kowai-up-") / "state")
        self.place.root.parent.chmod(0o711)
        own = {"KOWAI_STATE": str(self.place.root), "KOWAI_PORT": str(free_port()), "PYTHONPATH": str(ROOT)}
        own["KOWAI_PREFECT_PORT"] = str(free_port())
        without = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "KOWAI_"))}
        self.environment = without | own
        self.url = f"http://127.0.0.1:{own['KOWAI_PORT']}"

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "deployments.cli", *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=600, cwd=ROOT)

    def record(self) -> StackRecord:
        record = read_record(self.place.record)
        assert record
        return record


@pytest.fixture(scope="module")
def kowai() -> Iterator[Installation]:
    """Return an installation that runs."""
    made = Installation()
    started = made.run("up", "--bare", "--detach")
    assert started.returncode == 0, started.stdout + started.stderr
    assert started.stdout.splitlines()[-1] == f"KowAI is ready: {made.url}"
    yield made
    made.run("down")
    shutil.rmtree(made.place.root.parent)


def test_everything_runs_and_the_doctor_finds_nothing_wrong(kowai: Installation) -> None:
    status = kowai.run("status")
    assert status.returncode == 0, status.stdout
    assert [process.name for process in kowai.record().processes] == NAMES
    doctor = kowai.run("doctor")
    assert doctor.returncode == 0, doctor.stdout
    assert all(word in doctor.stdout for word in ("pgvector", "is the newest", "are registered", "1 online"))


def test_the_first_key_opens_the_api_and_another_does_not(kowai: Installation) -> None:
    key = read_secret(kowai.place.secrets, "api-key")
    assert kowai.run("search", "anything").returncode == 0
    body = {"query": "anything"}
    for given, status in ((key, 200), (key[:-1] + ("A" if key[-1] != "A" else "B"), 401)):
        reply = httpx.post(f"{kowai.url}/api/v1/search", json=body, headers={"Authorization": f"Bearer {given}"})
        assert reply.status_code == status


def test_no_secret_is_in_a_log(kowai: Installation) -> None:
    values = [path.read_text().strip() for path in kowai.place.secrets.iterdir()]
    logs = "".join(path.read_text(errors="replace") for path in (kowai.place.root / "logs").iterdir())
    assert not [value for value in values if value in logs]


def test_a_second_start_on_the_same_state_is_refused_and_harms_nothing(kowai: Installation) -> None:
    before = kowai.record()
    second = kowai.run("up")
    assert second.returncode == 1
    assert f"process {before.pid}" in second.stderr
    assert kowai.record() == before
    assert kowai.run("status").returncode == 0


def test_a_start_on_ports_that_are_taken_says_by_whom_and_leaves_no_database(kowai: Installation) -> None:
    other = Installation()
    other.environment |= {name: kowai.environment[name] for name in ("KOWAI_PORT", "KOWAI_PREFECT_PORT")}
    refused = other.run("up")
    assert refused.returncode == 1
    assert f"Port {kowai.environment['KOWAI_PORT']} on 127.0.0.1 is taken by" in refused.stderr
    assert not other.place.cluster.exists()
    shutil.rmtree(other.place.root.parent)


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ready").is_success
    except httpx.HTTPError:
        return False


def test_a_process_that_is_killed_comes_back(kowai: Installation) -> None:
    before = next(process for process in kowai.record().processes if process.name == "shim")
    psutil.Process(before.pid).kill()
    deadline = time.monotonic() + 120
    while (after := next(one for one in kowai.record().processes if one.name == "shim")).restarts == before.restarts:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    while not is_ready(kowai.url) or kowai.run("status").returncode:
        time.sleep(0.1)
        assert time.monotonic() < deadline
    assert after.pid != before.pid


def test_a_kowai_that_is_killed_leaves_nothing_running_and_starts_again_with_its_data(kowai: Installation) -> None:
    record, key = kowai.record(), read_secret(kowai.place.secrets, "api-key")
    sent = [psutil.Process(process.pid) for process in record.processes]
    corpus = kowai.place.root.parent / "corpus.jsonl"
    corpus.write_text(json.dumps({"_id": "kept", "text": "The zebra wears stripes."}))
    assert kowai.run("ingest", str(corpus)).returncode == 0
    psutil.Process(record.pid).kill()
    psutil.wait_procs(sent, timeout=60)
    assert not [process for process in sent if process.is_running()]
    assert "the last run was killed" in kowai.run("status").stderr
    assert kowai.run("up", "--bare", "--detach").returncode == 0
    assert read_secret(kowai.place.secrets, "api-key") == key
    assert "kept" in kowai.run("search", "zebra").stdout


def test_down_stops_every_process_and_a_lost_key_is_named(kowai: Installation) -> None:
    sent = [psutil.Process(process.pid) for process in kowai.record().processes]
    assert "KowAI has stopped." in kowai.run("down").stdout
    assert not [process for process in sent if process.is_running()]
    assert kowai.run("status").returncode == 1
    key = kowai.place.secrets / "api-key"
    kept = key.rename(key.with_name("kept"))
    refused = kowai.run("up")
    assert refused.returncode == 1
    assert "api-key is gone" in refused.stderr
    kept.rename(key)
