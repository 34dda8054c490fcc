"""Workflows are started for the own tenant only, never lost, followed and cancelled; no text reaches Prefect."""

import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, text

from blocks.database import Database
from deployments.shim.openings import WORKFLOWS
from kowai.errors import Unavailable
from kowai.permissions import LEAST_ROLE, at_least
from kowai.tables.ledger import Event
from tasks import outbox
from tasks.event_log import read_facts
from tasks.workflow_runs import call_off, receive_run, requested
from tests.deployments.conftest import People
from tests.prefect_stand_in import StandIn

PATH, RUNS = "/api/v1/workflows", "/api/v1/workflow-runs"
SECRET = "How long is the warranty of the zanzibar?"
EXAMPLES: dict[str, dict[str, Any]] = {
    "ask": {"question": SECRET},
    "evaluate": {"suite": "handbook"},
    "evaluate-nightly": {"approve_above": "0.50"},
    "ingest-documents": {"sources": ["/data/zanzibar"]},
    "ingest-nightly": {},
    "reconcile": {},
    "replay-dead-letters": {"causes": ["fetch_timeout"], "ids": [str(uuid4())]},
    "report-costs": {"day": "2026-01-31"},
    "run-personas": {"personas": ["assistant"], "questions": [SECRET]},
    "watch-live": {},
}


async def started(client: Any, name: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
    given = EXAMPLES[name] if parameters is None else parameters
    response = await client.post(f"{PATH}/{name}/runs", json={"parameters": given})
    assert response.status_code == 202, response.text
    return response.json()


async def test_every_workflow_is_started_for_the_own_tenant_and_no_text_reaches_prefect(
    lively: People, tenant: UUID, prefect: StandIn
) -> None:
    async with lively.admin(tenant) as admin:
        runs = [await started(admin, name) for name in EXAMPLES]
        listed = (await admin.get(RUNS)).json()
    assert {run["state"] for run in runs} == {"scheduled"}
    assert [run["id"] for run in listed] == [run["id"] for run in reversed(runs)]
    told = list(prefect.runs.values())
    assert len(told) == len(EXAMPLES)
    assert "zanzibar" not in json.dumps(told)
    for given in (run["parameters"] for run in told):
        assert given.get("tenant") == "default" or given.get("tenant_id") == str(tenant)
    assert told[0]["parameters"] == {"query_id": runs[0]["id"], "tenant_id": str(tenant)}
    assert runs[0]["result"] == f"/api/v1/query/{runs[0]['id']}"


async def test_what_a_run_works_on_is_stored_with_the_run_or_not_at_all(
    lively: People, tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: Any) -> None:
        raise Unavailable("The connection to the database is lost.")

    monkeypatch.setattr(outbox, "place", lost)
    async with lively.admin(tenant) as admin:
        for name in ("ask", "ingest-documents", "run-personas", "report-costs"):
            response = await admin.post(f"{PATH}/{name}/runs", json={"parameters": EXAMPLES[name]})
            assert response.status_code == 503, response.text
    async with lively.database.transaction(tenant) as connection:
        for table in ("query", "ingestion", "batch", "workflow_run"):
            assert await connection.scalar(text(f"select count(*) from {table}")) == 0


async def test_everybody_is_offered_what_their_role_may_start_and_nothing_else(lively: People, tenant: UUID) -> None:
    for role in ("analyst", "operator", "admin"):
        wanted = {name for name, flow in WORKFLOWS.items() if at_least(role, LEAST_ROLE[flow.permission])}
        async with lively.admin(tenant, role) as client:
            assert {one["name"] for one in (await client.get(PATH)).json()} == wanted
            codes = {name: (await client.post(f"{PATH}/{name}/runs", json={})).status_code for name in WORKFLOWS}
        assert {name for name, code in codes.items() if code != 403} == wanted
    async with lively.admin(tenant, "viewer") as viewer:
        assert (await viewer.get(PATH)).status_code == 403
    key = await lively.key(tenant, "admin", scopes=["workflows.read", "workflows.run", "costs.read"])
    async with lively.calling(key) as scoped:
        assert [one["name"] for one in (await scoped.get(PATH)).json()] == ["report-costs", "report-usage"]
        assert (await scoped.post(f"{PATH}/ask/runs", json={"parameters": EXAMPLES["ask"]})).status_code == 403


async def test_the_schema_explains_every_parameter_and_knows_no_tenant(lively: People, tenant: UUID) -> None:
    async with lively.admin(tenant, "platform_admin") as client:
        views = (await client.get(PATH)).json()
        assert (await client.get(f"{PATH}/ask")).json() in views
    for view in views:
        fields = view["parameters"]["properties"]
        assert not {"tenant", "tenant_id"} & set(fields)
        assert all(field["description"] for field in fields.values()), view["name"]


@pytest.mark.parametrize("name", WORKFLOWS)
async def test_no_other_tenant_can_be_named(lively: People, tenant: UUID, prefect: StandIn, name: str) -> None:
    async with lively.admin(tenant) as admin:
        for wrong in ({"tenant": "other"}, {"tenant": "default"}, {"tenant_id": str(tenant)}):
            given = EXAMPLES.get(name, {}) | wrong
            response = await admin.post(f"{PATH}/{name}/runs", json={"parameters": given})
            assert response.status_code == 422
    assert not prefect.runs


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("ask", {}),
        ("ask", {"question": "Who?", "persona": "nobody"}),
        ("evaluate", {"suite": ""}),
        ("replay-dead-letters", {"causes": ["What Ada wrote to me"]}),
        ("report-costs", {"day": "yesterday"}),
        ("run-personas", {"personas": ["assistant"]}),
        ("evaluate-nightly", {"approve_above": {"__prefect_kind": "jinja", "template": "{{ 1 }}"}}),
        ("reconcile", {"keep_versions": 1}),  # how long versions are kept only an admin says
    ],
)
async def test_parameters_that_cannot_be_are_refused_before_anything_is_stored(
    lively: People, tenant: UUID, prefect: StandIn, name: str, given: dict[str, Any]
) -> None:
    async with lively.admin(tenant) as admin:
        assert (await admin.post(f"{PATH}/{name}/runs", json={"parameters": given})).status_code == 422
        assert (await admin.get(RUNS)).json() == []
    assert not prefect.runs


async def test_what_was_told_of_a_run_that_is_cancelled_stays(store: Database, tenant: UUID) -> None:
    run_id = await receive_run(tenant, requested("run-team", tenant))
    event = {"tenant_id": tenant, "subject": run_id, "kind": "team.step", "payload": {"step": "facts"}}
    async with store.transaction(tenant) as connection:
        await connection.execute(insert(Event).values(event))
    await call_off(run_id, tenant)
    assert [fact.kind for fact in await read_facts(run_id, tenant)] == ["team.step"]


async def test_what_is_accepted_while_prefect_is_away_is_started_once_it_is_back(
    lively: People, tenant: UUID, prefect: StandIn
) -> None:
    prefect.broken = True
    async with lively.admin(tenant) as admin:
        run = await started(admin, "ask")
        assert run["state"] == "accepted"
        prefect.broken = False
        for _ in range(2):
            async with lively.database.transaction(tenant) as connection:
                await connection.execute(text("update outbox set due_at = now()"))
            await lively.app.state.runs._recorder.deliver([UUID(run["id"])], tenant)
        assert (await admin.get(f"{RUNS}/{run['id']}")).json()["state"] == "scheduled"
    assert len(prefect.runs) == 1


async def test_a_run_of_another_tenant_is_not_there(lively: People, tenant: UUID, other_tenant: UUID) -> None:
    async with lively.admin(tenant) as admin, lively.admin(other_tenant) as stranger:
        path = f"{RUNS}/{(await started(admin, 'ask'))['id']}"
        assert (await stranger.get(path)).status_code == 404
        assert (await stranger.post(f"{path}/cancel")).status_code == 404
        assert (await stranger.get(RUNS)).json() == []
        assert (await admin.get(path)).json()["state"] == "scheduled"


async def test_a_cancelled_run_ends_and_all_it_works_on_ends_with_it(
    lively: People, tenant: UUID, prefect: StandIn
) -> None:
    async with lively.admin(tenant) as admin:
        asked, batch = await started(admin, "ask"), await started(admin, "run-personas")
        for run in (asked, batch):
            assert (await admin.post(f"{RUNS}/{run['id']}/cancel")).json()["state"] == "cancelling"
        assert (await admin.get(asked["result"])).json()["status"] == "stopped"
        told = (await admin.get(batch["result"])).json()
    assert (told["status"], told["accepted"], told["refused"], told["in_progress"]) == ("declined", 1, 1, 0)
    assert [kind for _, kind in prefect.states] == ["CANCELLING", "CANCELLING"]


async def test_a_run_that_is_cancelled_before_prefect_knows_it_never_begins(
    lively: People, tenant: UUID, prefect: StandIn
) -> None:
    prefect.broken = True
    async with lively.admin(tenant) as admin:
        run = await started(admin, "report-costs")
        assert (await admin.post(f"{RUNS}/{run['id']}/cancel")).json()["state"] == "cancelled"
        prefect.broken = False
        async with lively.database.transaction(tenant) as connection:
            await connection.execute(text("update outbox set due_at = now()"))
        await lively.app.state.runs._recorder.deliver([UUID(run["id"])], tenant)
        assert (await admin.get(f"{RUNS}/{run['id']}")).json()["state"] == "cancelled"
    assert not prefect.runs


async def test_what_has_ended_cannot_be_cancelled(lively: People, tenant: UUID, prefect: StandIn) -> None:
    async with lively.admin(tenant) as admin:
        run = await started(admin, "report-costs")
        prefect.states.append((run["flow_run_id"], "COMPLETED"))
        response = await admin.post(f"{RUNS}/{run['id']}/cancel")
        assert (response.status_code, response.json()["error"]["code"]) == (409, "already_ended")
        assert (await admin.get(f"{RUNS}/{run['id']}")).json()["cancelled_at"] is None
