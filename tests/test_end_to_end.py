"""One real `kowai up`, entered through every door."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests.conftest import memory

ROOT = Path(__file__).parent.parent
KOWAI = Path(sys.executable).parent / "kowai"
PATIENCE = 240.0
LOCKED = 503

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class Running(NamedTuple):
    """Hold a started KowAI: its process, how to reach it, and what it printed before it was ready."""

    process: subprocess.Popen[str]
    environment: dict[str, str]
    api: httpx.Client
    prefect: httpx.Client
    printed: str

    def kowai(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [KOWAI, *arguments], env=self.environment, capture_output=True, text=True, timeout=PATIENCE
        )


class Patient(httpx.HTTPTransport):
    """Ask again, as Prefect's own clients do, when its server is late or its database was locked for a moment."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        for _ in range(20):
            try:
                response = super().handle_request(request)
            except httpx.ReadTimeout:
                if request.method != "GET":
                    raise
                continue
            if response.status_code != LOCKED:
                return response
            response.close()
            time.sleep(0.5)
        return super().handle_request(request)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def eventually(check: Callable[[], Any], seconds: float = 240.0) -> Any:
    """Return the first true value that `check` gives."""
    until = time.monotonic() + seconds
    while not (value := check()):
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.1)
    return value


@pytest.fixture(scope="module")
def up() -> Iterator[Running]:
    with tempfile.TemporaryDirectory(prefix="kowai-up-", dir=memory(), ignore_cleanup_errors=True) as folder:
        state, port, prefect_port = Path(folder) / "state", free_port(), free_port()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        environment |= {"KOWAI_STATE": str(state), "KOWAI_PORT": str(port), "KOWAI_PREFECT_PORT": str(prefect_port)}
        process = subprocess.Popen(
            [KOWAI, "up"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdout
        printed = ""
        for line in process.stdout:
            printed += line
            if line.startswith("KowAI is ready: "):
                break
        assert f"KowAI is ready: http://127.0.0.1:{port}" in printed, printed
        key = (state / "secrets" / "api-key").read_text().strip()
        user, _, password = (state / "secrets" / "prefect-auth").read_text().strip().partition(":")
        bearer = {"Authorization": f"Bearer {key}"}
        api = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=bearer, timeout=60.0)
        address = f"http://127.0.0.1:{prefect_port}/api"
        prefect = httpx.Client(base_url=address, auth=(user, password), timeout=30.0, transport=Patient())
        yield Running(process, environment, api, prefect, printed)
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def test_the_first_start_prints_a_cited_answer(up: Running) -> None:
    assert "[1]" in up.printed
    assert (ROOT / "samples" / "QUESTION.txt").read_text().strip() in up.printed


def test_the_first_start_indexes_every_page_of_the_handbook(up: Running) -> None:
    sums = up.api.get("/api/v1/ledger").raise_for_status().json()["total"]
    assert sums["accepted"] == sums["indexed"] == len([*(ROOT / "samples" / "handbook").iterdir()])


def test_a_question_is_answered_with_quotes_that_stand_in_the_documents(up: Running) -> None:
    question = (ROOT / "samples" / "QUESTION.txt").read_text().strip()
    answer = up.api.post("/api/v1/query", json={"query": question}).raise_for_status().json()
    assert answer["status"] == "done"
    assert not answer["abstained"]
    assert 0 < answer["confidence"] <= 1
    for citation in answer["citations"]:
        assert len(citation["quote"]) == citation["end"] - citation["start"]
    assert up.api.get(f"/api/v1/query/{answer['query_id']}").json()["answer"] == answer["answer"]


def test_a_synchronous_answer_is_a_run_in_prefect_with_its_steps(up: Running) -> None:
    answer = up.api.post("/api/v1/query", json={"query": "What is the default port?"}).json()

    def recorded() -> Any:
        run_id = up.api.get(f"/api/v1/query/{answer['query_id']}").json()["flow_run_id"]
        run = run_id and up.prefect.get(f"/flow_runs/{run_id}").json()
        return run if run and run["state_type"] == "COMPLETED" else None

    run = eventually(recorded)
    steps = {"flow_runs": {"id": {"any_": [run["id"]]}}}
    names = eventually(lambda: [task["task_key"] for task in up.prefect.post("/task_runs/filter", json=steps).json()])
    assert set(names) == {"admit", "retrieve", "generate", "record-answer"}
    assert f"query_id:{answer['query_id']}" in run["tags"]


def test_a_background_question_is_answered_through_the_work_pool(up: Running) -> None:
    accepted = up.api.post("/api/v1/query", json={"query": "On which port does the shim listen?", "mode": "background"})
    assert accepted.status_code == 202
    path = f"/api/v1/query/{accepted.json()['query_id']}"
    answer = eventually(lambda: (found := up.api.get(path).json())["status"] == "done" and found)
    assert answer["citations"]


def test_an_analyst_asks_through_the_prefect_form(up: Running) -> None:
    deployment = up.prefect.get("/deployments/name/ask/ask").raise_for_status().json()
    properties = deployment["parameter_openapi_schema"]["properties"]
    assert all(field.get("description") for field in properties.values())
    parameters = {"question": "Where is the first API key stored?", "persona": "analyst", "tenant": "default"}
    created = up.prefect.post(f"/deployments/{deployment['id']}/create_flow_run", json={"parameters": parameters})
    run_id = created.raise_for_status().json()["id"]
    eventually(lambda: up.prefect.get(f"/flow_runs/{run_id}").json()["state_type"] == "COMPLETED")
    wanted = {"artifacts": {"flow_run_id": {"any_": [run_id]}}}
    (artifact,) = up.prefect.post("/artifacts/filter", json=wanted).json()
    assert "done" in artifact["data"]


def test_the_nightly_ingestion_has_a_cron_with_a_time_zone(up: Running) -> None:
    (schedule,) = up.prefect.get("/deployments/name/ingest-due/ingest-nightly").json()["schedules"]
    assert schedule["schedule"]["cron"]
    assert schedule["schedule"]["timezone"]
    coming = {
        "deployments": {"name": {"any_": ["ingest-nightly"]}},
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
    }
    assert eventually(lambda: up.prefect.post("/flow_runs/filter", json=coming).json())


def test_an_ingestion_from_the_form_accounts_for_every_document(up: Running, tmp_path: Path) -> None:
    (tmp_path / "good.md").write_text("# Tea\n\nTea is steeped for four minutes.")
    (tmp_path / "empty.md").write_text("")
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7 nothing")
    tmp_path.chmod(0o755)
    deployment = up.prefect.get("/deployments/name/ingest-documents/ingest-documents").json()["id"]
    parameters = {"sources": [str(tmp_path), str(tmp_path / "missing")], "tenant": "default"}
    run = up.prefect.post(f"/deployments/{deployment}/create_flow_run", json={"parameters": parameters}).json()
    eventually(lambda: up.prefect.get(f"/flow_runs/{run['id']}").json()["state_type"] == "COMPLETED")
    wanted = {"artifacts": {"flow_run_id": {"any_": [run["id"]]}, "type": {"any_": ["table"]}}}
    (artifact,) = up.prefect.post("/artifacts/filter", json=wanted).json()
    bar = {"artifacts": {"flow_run_id": {"any_": [run["id"]]}, "type": {"any_": ["progress"]}}}
    assert [float(one["data"]) for one in up.prefect.post("/artifacts/filter", json=bar).json()] == [100.0]
    rows = json.loads(artifact["data"]) if isinstance(artifact["data"], str) else artifact["data"]
    # Prefect shows the columns of the first row only.
    assert {tuple(row) for row in rows} == {
        ("outcome", "documents", "document", "cause", "why", "fix")
    }  # else none is shown
    counts = {row["outcome"]: row["documents"] for row in rows if row["documents"] != ""}
    assert (counts["accepted"], counts["indexed"], counts["dead"], counts["in_progress"]) == (4, 1, 3, 0)


def test_documents_sent_as_json_are_found_when_the_call_returns(up: Running) -> None:
    text = "The zebrafish heart regenerates within sixty days."
    batch = {"documents": [{"_id": "z1", "title": "Zebrafish", "text": text, "metadata": {"kind": "paper"}}]}
    ledger = up.api.post("/api/v1/documents:batch", json=batch).raise_for_status().json()
    assert (ledger["accepted"], ledger["indexed"]) == (1, 1)
    found = up.api.post("/api/v1/search", json={"query": "zebrafish heart", "k": 3}).json()["passages"][0]
    assert found["external_id"] == "z1"
    assert text[found["start"] : found["end"]] == found["text"]
    assert up.api.post("/api/v1/documents:batch", json=batch).json()["unchanged"] == 1


def test_a_file_that_is_too_large_is_dead_and_takes_no_other_along(up: Running) -> None:
    files = [("files", ("huge.txt", b"x" * 100_000_001)), ("files", ("numbat.md", b"The numbat eats termites."))]
    ledger = up.api.post("/api/v1/documents", files=files).raise_for_status().json()
    assert (ledger["accepted"], ledger["indexed"], ledger["dead"]) == (2, 1, 1)
    assert ledger["items"][0]["cause"] == "document_too_large"


def test_an_uploaded_file_becomes_a_new_version_when_it_changes(up: Running) -> None:
    for version, minutes in enumerate(("three", "five"), 1):
        file = ("brew.md", f"# Brewing\n\nGreen oolong is brewed for {minutes} minutes.".encode())
        ledger = up.api.post("/api/v1/documents", files={"files": file}).raise_for_status().json()
        assert ledger["indexed"] == 1
        found = up.api.post("/api/v1/search", json={"query": "How long is green oolong brewed?", "k": 1}).json()
        assert found["passages"][0]["version"] == version
        assert minutes in found["passages"][0]["text"]


def test_the_command_line_asks_and_ingests(up: Running, tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text(
        '{"_id": "q9", "title": "Quokka", "text": "The quokka weighs three kilograms."}\n'
    )
    ingested = up.kowai("ingest", str(tmp_path / "corpus.jsonl"))
    assert ingested.returncode == 0, ingested.stdout + ingested.stderr
    asked = up.kowai("ask", "How much does the quokka weigh?", "--json")
    assert asked.returncode == 0, asked.stdout + asked.stderr
    assert json.loads(asked.stdout)["citations"][0]["external_id"] == "q9"
    assert up.kowai("ingest", str(tmp_path / "nowhere")).returncode == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"query": ""}, "question_empty"),
        ({"query": "a" * 10_000}, "question_too_long"),
        ({"query": "\x00\x01\x02 abc"}, "question_unreadable"),
        ({"query": "who?", "persona": "nobody"}, "unknown_persona"),
        ({"question": 7}, "invalid_request"),
        ({"query": "who?", "filters": {"metadata": {"team": "a\0"}}}, "not_storable"),
    ],
)
def test_bad_questions_are_refused_with_a_code_and_a_sentence(up: Running, body: dict[str, Any], code: str) -> None:
    refused = up.api.post("/api/v1/query", json=body)
    assert refused.status_code == 422
    assert refused.json()["error"]["code"] == code
    assert refused.json()["error"]["message"]


@pytest.mark.parametrize("key", [None, "nonsense", f"kowai_{'0' * 32}_{'x' * 43}"])
def test_nobody_is_anonymous(up: Running, key: str | None) -> None:
    headers = {"Authorization": f"Bearer {key}" if key else ""}
    assert up.api.post("/api/v1/query", json={"query": "who?"}, headers=headers).status_code == 401


def test_what_is_not_in_the_documents_is_said_to_be_so(up: Running) -> None:
    answer = up.api.post("/api/v1/query", json={"query": "Who won the 1974 chess olympiad in Nice?"}).json()
    assert answer["abstained"]
    assert answer["citations"] == []


def test_health_names_every_component(up: Running) -> None:
    health = up.api.get("/health").json()
    assert health["status"] == "ok"
    assert set(health["components"]) == {"database", "embedder", "prefect", "model", "storage"}
    assert up.api.get("/ready").status_code == 200
    assert up.api.get("/live").status_code == 200
    assert up.api.get("/openapi.json").json()["info"]["title"] == "KowAI"


def test_secrets_are_readable_by_their_owner_only(up: Running) -> None:
    secrets = Path(up.environment["KOWAI_STATE"]) / "secrets"
    assert secrets.stat().st_mode & 0o777 == 0o700
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in secrets.iterdir())


def test_an_interrupt_stops_everything_and_a_second_start_reuses_the_state(up: Running) -> None:
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(60) == 0
    with pytest.raises(httpx.ConnectError):
        up.api.get("/live")
    again = up.kowai("up", "--detach")
    assert again.returncode == 0, again.stdout + again.stderr
    try:
        found = up.api.post("/api/v1/search", json={"query": "zebrafish heart", "k": 5}).json()
        assert "z1" in [passage["external_id"] for passage in found["passages"]]
    finally:
        assert up.kowai("down").returncode == 0
