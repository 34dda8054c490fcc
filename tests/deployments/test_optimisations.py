"""Optimisations through HTTP and the command line."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from typer.testing import CliRunner

from blocks.database import Database
from deployments.cli import app as cli
from deployments.commands import api as api_module
from deployments.shim.errors import add_error_handlers
from deployments.shim.identity import Principal, authenticate
from deployments.shim.routes import optimisations
from flows.optimise import run_optimisation
from tasks.step import traced
from tests.flows.conftest import learn_tea
from tests.flows.test_optimise import CASES, QUESTION, Pupil
from tests.flows.test_promote import suite_of
from tests.model_server import ModelServer


class Runs:
    """Carry an optimisation out at once, as a worker would."""

    async def start(self, deployment: str, *, tenant_id: UUID, optimisation_id: UUID, **_: object) -> None:
        assert deployment == "optimise/run-stored-optimisation"
        with traced():
            await run_optimisation.fn(optimisation_id, tenant_id)


def shim(tenant: UUID, role: str = "operator") -> FastAPI:
    app = FastAPI()
    app.include_router(optimisations.router)
    add_error_handlers(app)
    app.state.runs = Runs()
    app.dependency_overrides[authenticate] = lambda: Principal(tenant, uuid4(), role)
    return app


@pytest.fixture
async def http(
    store: Database, tenant: UUID, tmp_path: Path, use: Callable[..., None], model_server: ModelServer
) -> AsyncIterator[httpx.AsyncClient]:
    await learn_tea(tenant, tmp_path / "documents")
    use(model_server.target())
    Pupil(model_server)
    await suite_of(CASES, tenant, QUESTION)
    transport = httpx.ASGITransport(shim(tenant), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://kowai") as client:
        yield client


async def test_a_persona_learns_over_http_and_its_artefact_can_be_taken_away(http: httpx.AsyncClient) -> None:
    reply = await http.post("/api/v1/optimisations", json={"persona": "assistant", "suite": "tea"})
    made = reply.json()
    assert reply.status_code == 202
    assert (made["outcome"], made["promotion"], made["promotion_id"]) == (
        "improved",
        "promoted",
        made["optimisation_id"],
    )
    where = f"/api/v1/optimisations/{made['optimisation_id']}"
    assert (await http.get(where)).json() == made
    assert (await http.get("/api/v1/optimisations")).json() == [made]
    assert (await http.get(f"{where}/artefact")).json()["answer"]["demos"]
    assert (await http.get(f"/api/v1/optimisations/{uuid4()}/artefact")).status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"persona": "nobody", "suite": "tea"}, 422, "unknown_persona"),
        ({"persona": "assistant", "suite": "missing"}, 404, "not_found"),
        ({"persona": "assistant", "suite": "tea", "optimiser": "magic"}, 422, "unknown_optimiser"),
    ],
)
async def test_what_cannot_be_optimised_is_refused_by_name(
    http: httpx.AsyncClient, body: dict[str, Any], status: int, code: str
) -> None:
    reply = await http.post("/api/v1/optimisations", json=body)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)


async def test_an_analyst_may_not_optimise(http: httpx.AsyncClient, tenant: UUID) -> None:
    transport = httpx.ASGITransport(shim(tenant, "analyst"), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://kowai") as analyst:
        reply = await analyst.post("/api/v1/optimisations", json={"persona": "assistant", "suite": "tea"})
    assert reply.status_code == 403


@pytest.mark.parametrize(
    ("outcome", "promotion", "code"),
    [("improved", "promoted", 0), ("improved", "refused", 3), ("no_gain", None, 3), ("broken", None, 1)],
)
def test_the_exit_code_tells_what_became_of_it(
    monkeypatch: pytest.MonkeyPatch, outcome: str, promotion: str | None, code: int
) -> None:
    sent: list[dict[str, Any]] = []

    def reply(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content))
        told = {"optimisation_id": "o", "persona": "assistant", "optimiser": "gepa", "sentence": "Because."}
        return httpx.Response(202, json=told | {"outcome": outcome, "promotion": promotion, "promotion_sentence": None})

    client = httpx.Client(base_url="http://kowai", transport=httpx.MockTransport(reply))
    monkeypatch.setattr(api_module, "httpx", SimpleNamespace(**(vars(httpx) | {"Client": lambda **_: client})))  # pyright: ignore[reportUnknownLambdaType]
    command = ["optimise", "assistant", "tea", "--optimiser", "gepa", "--dollars", "2", "--url", "http://kowai"]
    done = CliRunner().invoke(cli, [*command, "--key", "k"])
    assert done.exit_code == code, done.output
    assert sent[0]["limits"] == {"dollars": 2.0, "minutes": 60.0}
    assert "Because." in done.output
