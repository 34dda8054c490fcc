"""No workflow runs for another tenant, or for somebody whose role may not: every one is tried, as everybody."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from deployments.shim import openings
from deployments.shim.forms import form_of
from deployments.shim.identity import Principal
from deployments.shim.openings import WORKFLOWS
from kowai.permissions import LEAST_ROLE, ROLES, at_least
from kowai.settings import settings
from tasks.workflow_runs import receive_run
from tests.deployments.conftest import People
from tests.deployments.test_probes import CANARY, Victim, example, picture, plant

pytestmark = pytest.mark.slow
NARROW = ["workflows.read", "workflows.run"]  # a key that may run workflows, and do nothing that one does
EXPECTED = {name: workflow.permission for name, workflow in WORKFLOWS.items()}
ROUTES = ("question_set", "suite", "setting_version", "ingestion_item", "document", "query", "workflow_run", "batch")
GIVEN = text("select payload->'parameters' from outbox where kind = 'flow-run'")


@pytest.fixture
async def lively(people: People, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[People]:
    for name in ("KOWAI_REQUESTS_PER_MINUTE", "KOWAI_TENANT_REQUESTS_PER_MINUTE"):
        monkeypatch.setenv(name, "60000")
    settings.cache_clear()
    async with people.app.router.lifespan_context(people.app):
        yield people


def bodies(name: str, victim: Victim) -> list[dict[str, Any]]:
    """Return parameters in which every id, and the tenant, is the victim's; the first lot names no tenant."""
    schema = form_of(name).model_json_schema()
    whole = {"components": {"schemas": schema.get("$defs", {})}}
    given: list[dict[str, Any]] = []
    for row in (victim.tenant, *(victim.ids[table] for table in ROUTES)):
        all_of_it = {field: example(about, whole, row) for field, about in schema["properties"].items()}
        given += [all_of_it, {field: all_of_it[field] for field in schema.get("required", ())}]
        given += [{field: value} for field, value in all_of_it.items()]
    named = [{"tenant": "other"}, {"tenant": str(victim.tenant)}, {"tenant_id": str(victim.tenant)}]
    return [*given, *named]


async def probe(people: People, attacker: UUID, victim: Victim) -> tuple[int, list[str]]:
    """Start every workflow as everybody with the victim's ids; return how many calls, and what went wrong."""
    tokens = {role: await people.key(attacker, role) for role in ROLES}
    tokens["narrow"] = await people.key(attacker, "platform_admin", scopes=NARROW)
    count, wrong = 0, list[str]()
    for role, token in [*tokens.items(), ("nobody", None)]:
        async with people.calling(token) as client:
            for name, permission in EXPECTED.items():
                expected = 401 if token is None else None if may_start(role, permission) else 403
                for body in bodies(name, victim)[: 2 if expected else None]:
                    reply = await client.post(f"/api/v1/workflows/{name}/runs", json={"parameters": body})
                    count += 1
                    code = reply.status_code
                    odd = (
                        code != expected
                        if expected
                        else code >= 500 or (code < 400 and {"tenant", "tenant_id"} & set(body))
                    )
                    if odd or CANARY in reply.text:
                        wrong.append(f"{role} {name} {body}: {code} {reply.text[:200]}")
            for row in victim.ids.values():
                for method, path in (("GET", ""), ("POST", "/cancel")):
                    reply = await client.request(method, f"/api/v1/workflow-runs/{row}{path}")
                    count += 1
                    if reply.status_code not in (401, 403, 404):
                        wrong.append(f"{role} {method} run {row}: {reply.status_code}")
    return count, wrong


def may_start(role: str, permission: str) -> bool:
    return role != "narrow" and all(at_least(role, LEAST_ROLE[one]) for one in ("workflows.run", permission))


async def started_for(people: People, tenant: UUID) -> list[dict[str, Any]]:
    async with people.database.transaction(tenant) as connection:
        return list(await connection.scalars(GIVEN))


async def test_no_workflow_runs_for_another_tenant_or_for_a_role_that_may_not(
    lively: People, tenant: UUID, other_tenant: UUID, database_url: str
) -> None:
    victim = plant(database_url, other_tenant)
    before = picture(database_url, other_tenant)
    count, wrong = await probe(lively, tenant, victim)
    assert not wrong, f"{len(wrong)} of {count}: " + "\n".join(wrong[:20])
    assert picture(database_url, other_tenant) == before
    given = await started_for(lively, tenant)
    assert given
    assert {one.get("tenant", "default") for one in given} == {"default"}
    assert {one.get("tenant_id", str(tenant)) for one in given} == {str(tenant)}
    assert count >= 500


@pytest.mark.parametrize("name", WORKFLOWS)
async def test_taking_away_any_one_workflows_permission_is_found(
    lively: People, tenant: UUID, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(openings.WORKFLOWS, name, WORKFLOWS[name]._replace(permission="workflows.run"))
    async with lively.calling(await lively.key(tenant, "platform_admin", scopes=NARROW)) as narrow:
        reply = await narrow.post(f"/api/v1/workflows/{name}/runs", json={"parameters": {"tenant": "other"}})
    assert reply.status_code != 403  # which the probe expects


async def test_a_tenant_that_is_not_the_callers_is_found(
    lively: People, tenant: UUID, other_tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def anothers(given: openings.Given, caller: Principal, begin: openings.Begin) -> UUID:
        return await receive_run(caller.tenant_id, begin("run_id", {**given, "tenant": "other"}))

    monkeypatch.setitem(openings.WORKFLOWS, "report-costs", WORKFLOWS["report-costs"]._replace(open=anothers))
    async with lively.admin(tenant) as admin:
        await admin.post("/api/v1/workflows/report-costs/runs", json={})
    assert {"tenant": "other", "day": None} in await started_for(lively, tenant)  # which the probe looks for
