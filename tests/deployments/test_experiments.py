"""Flags and experiments through HTTP."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI

from blocks.database import Database
from deployments.shim.errors import add_error_handlers
from deployments.shim.identity import Principal, authenticate
from deployments.shim.routes import experiments, flags
from tasks.versions import receive_version

BETA = {
    "variants": {"on": True, "off": False},
    "default": "off",
    "rules": [{"roles": ["operator"], "shares": {"on": 100}}],
}


def shim(tenant: UUID, role: str = "operator") -> httpx.AsyncClient:
    app = FastAPI()
    for module in (experiments, flags):
        app.include_router(module.router)
    add_error_handlers(app)
    app.dependency_overrides[authenticate] = lambda: Principal(tenant, uuid4(), role)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://kowai/api/v1/")


@pytest.fixture
async def http(store: Database, tenant: UUID) -> AsyncIterator[httpx.AsyncClient]:
    async with shim(tenant) as client:
        yield client


async def test_a_flag_is_set_and_read_over_the_remote_evaluation_protocol(
    http: httpx.AsyncClient, tenant: UUID
) -> None:
    assert (await http.put("flags/beta", json=BETA)).json()["name"] == "beta"
    asked = {"context": {"targetingKey": "ada"}}
    found = await http.post("ofrep/v1/evaluate/flags/beta", json=asked)
    assert found.json() == {"key": "beta", "value": True, "variant": "on", "reason": "TARGETING_MATCH"}
    async with shim(tenant, "viewer") as viewer:
        assert not (await viewer.post("ofrep/v1/evaluate/flags", json=asked)).json()["flags"][0]["value"]
        assert (await viewer.put("flags/beta", json=BETA)).status_code == 403
    assert [each["name"] for each in (await http.get("flags")).json()] == ["beta"]
    assert (await http.delete("flags/beta")).status_code == 204
    missing = await http.post("ofrep/v1/evaluate/flags/beta", json=asked)
    assert (missing.status_code, missing.json()["errorCode"]) == (404, "FLAG_NOT_FOUND")


async def test_what_is_no_flag_is_refused_by_name(http: httpx.AsyncClient) -> None:
    reply = await http.put("flags/beta", json=BETA | {"default": "missing"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (422, "bad_flag")
    assert "missing" in reply.json()["error"]["message"]


async def test_a_flag_whose_name_cannot_be_stored_is_no_fault(http: httpx.AsyncClient) -> None:
    reply = await http.delete("flags/%00")
    assert (reply.status_code, reply.json()["error"]["code"]) == (422, "not_storable")


async def test_an_experiment_begins_reports_and_stops(http: httpx.AsyncClient, tenant: UUID) -> None:
    version_id = await receive_version("retrieval", {"passages": 7}, tenant)
    made = (await http.post("experiments", json={"version_id": str(version_id), "share": 0.2})).json()
    assert (made["slot"], made["outcome"], made["exposures"]) == ("retrieval", None, 0)
    where = f"experiments/{made['experiment_id']}"
    report = (await http.get(where)).json()
    assert set(report["lifts"]) == {"feedback", "cost", "latency"}
    again = await http.post("experiments", json={"version_id": str(version_id)})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "bad_experiment")
    assert (await http.post(f"{where}/stop")).json()["outcome"] == "stopped"
    assert [each["outcome"] for each in (await http.get("experiments")).json()] == ["stopped"]
    async with shim(tenant, "analyst") as analyst:
        assert (await analyst.post("experiments", json={"version_id": str(version_id)})).status_code == 403


@pytest.mark.parametrize("wrong", [{"share": 0}, {"share": 1.5}, {"metric": "mood"}, {"alpha": 0.9}])
async def test_an_impossible_experiment_is_refused(http: httpx.AsyncClient, wrong: dict[str, object]) -> None:
    assert (await http.post("experiments", json={"version_id": str(uuid4())} | wrong)).status_code == 422
    unknown = await http.get(f"experiments/{uuid4()}")
    assert unknown.status_code == 404
