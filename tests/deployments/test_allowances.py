"""Limits are read and set through the doors: a tenant's by the platform, its users' and keys' by its admins."""

from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from tests.deployments.conftest import People

ME = "/api/v1/auth/me"
PATH = "/api/v1/allowances"


async def test_an_admin_limits_a_key_and_takes_the_limit_back(people: People, tenant: UUID) -> None:
    key = await people.key(tenant, "viewer")
    async with people.admin(tenant) as admin, people.calling(key) as viewer:
        subject = (await viewer.get(ME)).json()["id"]
        told = (await admin.put(f"{PATH}/{subject}", json={"requests_per_minute": 1})).json()
        assert (told["kind"], told["requests_per_minute"], told["streams"]) == ("key", 1, None)
        assert 429 in [(await viewer.get(ME)).status_code for _ in range(2)]
        assert (await admin.put(f"{PATH}/{subject}", json={})).json()["requests_per_minute"] is None
        listed = (await admin.get(PATH)).json()
        assert [row["kind"] for row in listed] == ["tenant", "key", "key"]
        assert len((await admin.get("/api/v1/audit")).json()) >= 3  # both changes, and looking at the list


async def test_a_platform_admin_sets_what_a_tenant_may_spend(people: People, tenant: UUID, other_tenant: UUID) -> None:
    path, wanted = f"/api/v1/tenants/{other_tenant}/allowance", {"dollars_per_day": "0.5", "approve_above": "0.02"}
    async with people.admin(tenant, "platform_admin") as platform:
        assert (await platform.get(path)).json()["dollars_per_day"] is None
        told = (await platform.put(path, json=wanted)).json()
        assert {name: told[name] for name in wanted} == wanted
    async with people.admin(other_tenant) as admin:
        assert (await admin.get("/api/v1/costs")).json()["daily_limit"] == "0.5"
        assert (await admin.put(f"{PATH}/{other_tenant}", json={})).status_code == 403
        assert (await admin.put(path, json={})).status_code == 403


async def test_nobody_limits_a_stranger_or_somebody_above_them(
    people: People, tenant: UUID, other_tenant: UUID
) -> None:
    stranger, above = await people.key(other_tenant, "viewer"), await people.key(tenant, "platform_admin")
    async with people.calling(stranger) as they, people.calling(above) as boss, people.admin(tenant) as admin:
        subjects = [(await client.get(ME)).json()["id"] for client in (they, boss)]
        codes = [(await admin.put(f"{PATH}/{each}", json={"streams": 1})).status_code for each in subjects]
        assert codes == [404, 403]


@pytest.mark.parametrize("wrong", [{"requests_per_minute": 0}, {"streams": -1}, {"tokens_per_day": 2**40}, {"x": 1}])
async def test_limits_that_cannot_be_are_refused(people: People, tenant: UUID, wrong: dict[str, int]) -> None:
    async with people.admin(tenant) as admin:
        assert (await admin.put(f"{PATH}/{uuid4()}", json=wrong)).status_code == 422


async def test_operators_read_what_happened_newest_first(people: People, tenant: UUID, other_tenant: UUID) -> None:
    note = text("insert into event (tenant_id, subject, kind) values (:tenant, gen_random_uuid(), :kind)")
    for owner, kinds in ((tenant, ("query.queued", "query.done")), (other_tenant, ("query.failed",))):
        async with people.database.transaction(owner) as connection:
            for kind in kinds:
                await connection.execute(note, {"tenant": owner, "kind": kind})
    async with people.admin(tenant, "operator") as operator:
        everything = (await operator.get("/api/v1/events")).json()
        done = (await operator.get("/api/v1/events", params={"kind": "query.done"})).json()
    assert [event["kind"] for event in everything] == ["query.done", "query.queued"]
    assert done == everything[:1]
