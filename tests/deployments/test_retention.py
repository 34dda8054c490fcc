"""An admin says for how long a tenant's old versions are kept."""

from uuid import UUID

import pytest

from tests.deployments.conftest import People

PATH = "/api/v1/retention"


async def test_an_admin_sets_it_for_the_own_tenant_and_takes_it_back(
    people: People, tenant: UUID, other_tenant: UUID
) -> None:
    async with people.admin(tenant) as admin, people.admin(other_tenant) as stranger:
        told = (await admin.put(PATH, json={"keep_versions": 5, "keep_days": 90})).json()
        assert told == {"keep_versions": 5, "keep_days": 90, "own": True}
        assert (await stranger.get(PATH)).json()["own"] is False
        assert (await admin.delete(PATH)).json() == {"keep_versions": None, "keep_days": None, "own": False}
        audited = [(entry["action"], entry["permission"]) for entry in (await admin.get("/api/v1/audit")).json()]
    assert sum(permission == "retention.manage" for _, permission in audited) == 2


async def test_an_operator_reads_it_and_may_not_change_it(people: People, tenant: UUID) -> None:
    async with people.admin(tenant, "operator") as operator:
        assert (await operator.get(PATH)).status_code == 200
        assert (await operator.put(PATH, json={"keep_days": 1})).status_code == 403


@pytest.mark.parametrize("wrong", [{"keep_versions": 0}, {"keep_days": -1}, {"keep_days": 2**40}, {"x": 1}])
async def test_what_keeps_nothing_is_refused(people: People, tenant: UUID, wrong: dict[str, int]) -> None:
    async with people.admin(tenant) as admin:
        assert (await admin.put(PATH, json=wrong)).status_code == 422
