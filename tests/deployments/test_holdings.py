"""What is held is listed, accounted for, replayed, recalled and deleted through the API and the command."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from blocks.database import Database
from deployments.cli import app as commands
from deployments.commands import api as api_module
from deployments.shim.errors import add_error_handlers
from deployments.shim.identity import Principal, authenticate
from deployments.shim.routes import dead_letters, documents, holdings
from tasks.step import traced


class Direct:
    """Run flows here, without telling Prefect."""

    async def run(self, flow: Any, _deployment: str, *, opened: Any = None, **parameters: Any) -> str:
        with traced():
            await flow.fn(**parameters)
        return ""


@pytest.fixture
def role() -> list[str]:
    return ["admin"]


@pytest.fixture
def client(store: Database, tenant: UUID, role: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    app = FastAPI()
    for module in (documents, holdings, dead_letters):
        app.include_router(module.router)
    add_error_handlers(app)
    app.state.runs = Direct()
    app.dependency_overrides[authenticate] = lambda: Principal(tenant, uuid4(), role[0])
    with TestClient(app) as client:
        monkeypatch.setattr(api_module, "running_url", lambda: "http://testserver")
        monkeypatch.setattr(api_module.httpx, "Client", lambda **_: client)
        monkeypatch.setattr(client, "close", lambda: None)  # several commands use it
        yield client


def told(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(commands, [*arguments, "--key", "k"], env={"COLUMNS": "200"})
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def test_documents_live_and_die_through_the_doors(client: TestClient) -> None:
    client.post("/api/v1/documents", files=[("files", ("tea.txt", b"Tea is steeped.")), ("files", ("no.txt", b""))])
    listed = client.get("/api/v1/documents", params={"search": "tea"}).json()
    assert [document["external_id"] for document in listed["documents"]] == ["tea.txt"]
    total = client.get("/api/v1/ledger").json()["total"]
    assert (total["accepted"], total["indexed"], total["dead"]) == (2, 1, 1)
    assert "tea.txt" in told("documents")
    assert "uploads and requests 2 1 0 0 1 0" in told("documents")
    assert "leave it out, or fill it" in told("documents", "--dead")
    assert "no.txt" in told("replay-dead-letters", "--cause", "empty", code=1)
    document_id = listed["documents"][0]["id"]
    assert client.get(f"/api/v1/documents/{document_id}/answers").json() == {"answers": []}
    assert "1 documents" in told("forget", document_id, "--yes")
    assert "Certificate" in told("forget", "no.txt", "--yes")
    assert client.get("/api/v1/ledger").json()["total"]["accepted"] == 0
    assert client.get(f"/api/v1/documents/{document_id}").status_code == 404
    assert len(client.get("/api/v1/deletion-certificates").json()["certificates"]) == 2


def test_pages_of_documents_follow_each_other(client: TestClient) -> None:
    files = [("files", (f"{number}.txt", f"Number {number}.".encode())) for number in range(3)]
    client.post("/api/v1/documents", files=files)
    first = client.get("/api/v1/documents", params={"limit": 2}).json()
    second = client.get("/api/v1/documents", params={"limit": 2, "after": first["next"]}).json()
    names = [document["external_id"] for page in (first, second) for document in page["documents"]]
    assert (names, second["next"]) == (["0.txt", "1.txt", "2.txt"], None)


def test_only_an_admin_deletes(client: TestClient, role: list[str]) -> None:
    role[0] = "user"
    assert client.delete("/api/v1/documents", params={"external_id": "tea.txt"}).status_code == 403
    assert client.delete(f"/api/v1/documents/{uuid4()}").status_code == 403


def test_what_is_not_there_is_not_found(client: TestClient) -> None:
    assert client.delete("/api/v1/documents", params={"external_id": "tea.txt"}).status_code == 404
    assert client.delete(f"/api/v1/documents/{uuid4()}").status_code == 404
