"""Versions and promotions through HTTP and the command line."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from typer.testing import CliRunner

from blocks.database import Database
from deployments.cli import app as cli
from deployments.commands import api as api_module
from deployments.shim.errors import add_error_handlers
from deployments.shim.identity import Principal, authenticate
from deployments.shim.routes import suites, versions
from flows.promote import run_promotion
from kowai.versions import SpaceSetting
from tasks.promote import receive_promotion
from tasks.step import traced
from tasks.suites import find_suite
from tasks.versions import receive_version, store_version
from tests.flows.conftest import learn_tea

SUITE = b'cases:\n  - {id: green, question: "How long is green tea steeped?", facts: [three minutes]}\n'


class Runs:
    """Carry a promotion out at once, as a worker would, and remember which spaces are to be built."""

    def __init__(self) -> None:
        self.spaces: list[UUID] = []

    async def start(
        self,
        deployment: str,
        *,
        tenant_id: UUID,
        promotion_id: UUID | None = None,
        space_id: UUID | None = None,
        **_: object,
    ) -> None:
        if space_id is not None:
            return self.spaces.append(space_id)
        assert (deployment, promotion_id is not None) == ("promote/run-stored-promotion", True)
        with traced():
            await run_promotion.fn(promotion_id, tenant_id)  # pyright: ignore[reportArgumentType]


def shim(tenant: UUID, role: str = "operator") -> FastAPI:
    app = FastAPI()
    for module in (suites, versions):
        app.include_router(module.router)
    add_error_handlers(app)
    app.state.runs = Runs()
    app.dependency_overrides[authenticate] = lambda: Principal(tenant, uuid4(), role)
    return app


@pytest.fixture
async def http(store: Database, tenant: UUID, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    await learn_tea(tenant, tmp_path / "documents")
    transport = httpx.ASGITransport(shim(tenant), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://kowai") as client:
        await client.post("/api/v1/suites", files={"files": ("tea.yaml", SUITE)})
        yield client


async def test_a_version_goes_live_and_back(http: httpx.AsyncClient) -> None:
    made = await http.post("/api/v1/versions", json={"slot": "retrieval", "content": {"passages": 6}})
    version = made.json()
    assert (made.status_code, version["number"], version["live"]) == (201, 1, False)
    promotion = (
        await http.post("/api/v1/promotions", json={"version_id": version["version_id"], "suite": "tea"})
    ).json()
    assert (promotion["outcome"], promotion["slot"], promotion["incumbent_id"]) == ("promoted", "retrieval", None)
    assert [each["live"] for each in (await http.get("/api/v1/versions?slot=retrieval")).json()] == [True]
    where = f"/api/v1/promotions/{promotion['promotion_id']}"
    assert (await http.get(where)).json() == promotion
    assert (await http.post(f"{where}/roll-back")).json()["outcome"] == "rolled_back"
    assert [each["outcome"] for each in (await http.get("/api/v1/promotions")).json()] == ["rolled_back"]
    again = await http.post(f"{where}/roll-back")
    assert (again.status_code, again.json()["error"]["code"]) == (422, "invalid_input")


async def promoted_space(store: Database, tenant: UUID, owner_url: str) -> tuple[UUID, UUID]:
    """Make another space the current one as a promotion would; return the promotion and the space before."""
    async with store.transaction(tenant) as connection:
        version_id = await store_version(connection, "space", SpaceSetting(embedder="next"), tenant, lineage={})
    suite_id = await find_suite("tea", tenant)
    promotion_id = await receive_promotion(version_id, suite_id, tenant)
    with psycopg.connect(owner_url) as owner:
        owner.execute("update promotion set outcome = 'promoted'")
        before = owner.execute("update embedding_space set state = 'retired', retired_at = now() returning public_id")
        (before_id,) = before.fetchone() or ()  # pyright: ignore[reportAssignmentType]
        owner.execute("insert into embedding_space (model, dimensions, embedder) values ('other', 8, 'next')")
    return promotion_id, before_id


async def test_a_promoted_space_is_gone_back_from_by_one_call_of_who_may_move_all_tenants(
    http: httpx.AsyncClient, store: Database, tenant: UUID, database_url: str
) -> None:
    promotion_id, before_id = await promoted_space(store, tenant, database_url)
    where = f"/api/v1/promotions/{promotion_id}/roll-back"
    assert (await http.post(where)).status_code == 403
    app = shim(tenant, "platform_admin")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://kowai") as admin:
        made = (await admin.post(where)).json()
        assert (made["outcome"], "'kowai' is filled up" in made["sentence"]) == ("rolled_back", True)
        assert app.state.runs.spaces == [before_id]
        assert (await admin.post(where)).status_code == 422


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("versions", {"slot": "weather", "content": {"a": 1}}, 422, "bad_version"),
        ("versions", {"slot": "retrieval", "content": {"passages": 0}}, 422, "bad_version"),
        ("promotions", {"version_id": str(uuid4()), "suite": "tea"}, 404, "not_found"),
        ("promotions", {"version_id": str(uuid4()), "suite": "missing"}, 404, "not_found"),
    ],
)
async def test_what_cannot_go_live_is_refused_by_name(
    http: httpx.AsyncClient, path: str, body: dict[str, Any], status: int, code: str
) -> None:
    reply = await http.post(f"/api/v1/{path}", json=body)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)


async def test_an_analyst_may_write_a_candidate_but_not_promote_it(http: httpx.AsyncClient, tenant: UUID) -> None:
    transport = httpx.ASGITransport(shim(tenant, "analyst"), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://kowai") as analyst:
        made = await analyst.post("/api/v1/versions", json={"slot": "retrieval", "content": {"passages": 6}})
        body = {"version_id": made.json()["version_id"], "suite": "tea"}
        assert (await analyst.post("/api/v1/promotions", json=body)).status_code == 403


async def test_a_space_is_every_tenants_and_so_the_platforms_to_promote(http: httpx.AsyncClient, tenant: UUID) -> None:
    space = {"slot": "space", "content": {"embedder": "kowai"}}
    assert (await http.post("/api/v1/versions", json=space)).status_code == 403
    version_id = await receive_version("space", space["content"], tenant)  # pyright: ignore[reportArgumentType]
    body = {"version_id": str(version_id), "suite": "tea"}
    refused = await http.post("/api/v1/promotions", json=body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")
    transport = httpx.ASGITransport(shim(tenant, "platform_admin"), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://kowai") as platform:
        assert (await platform.post("/api/v1/versions", json=space)).json()["live"]
        assert (await platform.post("/api/v1/promotions", json=body)).json()["outcome"] == "promoted"


@pytest.mark.parametrize(("outcome", "code"), [("promoted", 0), ("broken", 1), ("refused", 3)])
def test_the_exit_code_tells_refused_from_broken(monkeypatch: pytest.MonkeyPatch, outcome: str, code: int) -> None:
    sent: list[dict[str, Any]] = []

    def reply(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content))
        told = {"promotion_id": "p", "version_id": "v", "slot": "retrieval", "sentence": "Because."}
        return httpx.Response(202, json=told | {"outcome": outcome})

    client = httpx.Client(base_url="http://kowai", transport=httpx.MockTransport(reply))
    monkeypatch.setattr(api_module, "httpx", SimpleNamespace(**(vars(httpx) | {"Client": lambda **_: client})))  # pyright: ignore[reportUnknownLambdaType]
    command = ["promote", "retrieval", "--set", "passages=6", "--url", "http://kowai", "--key", "k"]
    done = CliRunner().invoke(cli, command)
    assert done.exit_code == code, done.output
    assert sent[0]["version"] == {"slot": "retrieval", "content": {"passages": 6}}
    assert "Because." in done.output
