"""API keys are shown once, confined, rotated with an overlap and revoked at once."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from kowai.errors import InvalidInput
from kowai.permissions import reach_of
from tasks.api_keys import NewKey, list_keys, make_key, revoke_key, rotate_key
from tests.deployments.conftest import People


async def made(admin: httpx.AsyncClient, **wanted: object) -> dict[str, object]:
    response = await admin.post("/api/v1/keys", json={"name": "website"} | wanted)
    assert response.status_code == 201, response.text
    return response.json()


async def status(people: People, key: object, path: str = "/api/v1/auth/me") -> int:
    async with people.calling(str(key)) as client:
        return (await client.get(path)).status_code


async def test_a_key_is_shown_once_and_kept_only_as_a_digest(people: People, tenant: UUID) -> None:
    async with people.admin(tenant) as admin:
        key = (await made(admin))["key"]
        listed = (await admin.get("/api/v1/keys")).text
    secret = str(key).rpartition("_")[2]
    async with people.database.transaction(tenant) as connection:
        stored = (await connection.execute(text("select * from api_key"))).all()
    assert secret not in listed
    assert secret not in str(stored)
    assert await status(people, key) == 200


async def test_scopes_confine_a_key(people: People, tenant: UUID) -> None:
    async with people.admin(tenant) as admin:
        key = (await made(admin, role="admin", scopes=["account.use"]))["key"]
    assert await status(people, key) == 200
    assert await status(people, key, "/api/v1/costs") == 403


async def test_a_confined_key_cannot_make_one_that_reaches_further(people: People, tenant: UUID) -> None:
    confined = await people.key(tenant, "admin", scopes=["keys.manage", "account.use"])
    async with people.calling(confined) as client:
        for wanted in ({}, {"scopes": ["costs.read"]}, {"scopes": ["keys.manage", "costs.read"]}):
            assert (await client.post("/api/v1/keys", json={"name": "more"} | wanted)).status_code == 403
        assert (await client.post("/api/v1/keys", json={"name": "less", "scopes": ["account.use"]})).is_success


async def test_nobody_makes_a_key_above_their_role(people: People, tenant: UUID) -> None:
    async with people.admin(tenant) as admin:
        wanted = {"name": "root", "role": "platform_admin"}
        assert (await admin.post("/api/v1/keys", json=wanted)).status_code == 403


async def test_both_keys_work_during_the_overlap_and_only_the_new_one_after_it(people: People, tenant: UUID) -> None:
    async with people.admin(tenant) as admin:
        old = await made(admin)
        path = f"/api/v1/keys/{old['details']['id']}/rotate"  # type: ignore[index]
        new = (await admin.post(path, json={"overlap_hours": 1})).json()
        assert [await status(people, key) for key in (old["key"], new["key"])] == [200, 200]
        newest = (await admin.post(path, json={"overlap_hours": 0})).json()
    assert [await status(people, key) for key in (old["key"], newest["key"])] == [401, 200]


async def test_a_key_that_ends_while_it_is_rotated_has_no_successor(people: People, tenant: UUID) -> None:
    wanted = NewKey("website", "viewer", None, None, None)
    old, _ = await make_key(wanted, tenant)
    await revoke_key(old.id, tenant)
    with pytest.raises(InvalidInput, match="has ended"):
        await rotate_key(old, timedelta(hours=1), old.id, tenant)
    assert [key.id for key in await list_keys(tenant)] == [old.id]


async def test_a_revoked_or_expired_key_is_refused(people: People, tenant: UUID) -> None:
    async with people.admin(tenant) as admin:
        one = await made(admin)
        assert (await admin.delete(f"/api/v1/keys/{one['details']['id']}")).is_success  # type: ignore[index]
    late = await people.key(tenant, "viewer", expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert [await status(people, key) for key in (one["key"], late)] == [401, 401]


async def test_when_a_key_was_last_used_is_known(people: People, tenant: UUID) -> None:
    async with people.admin(tenant) as admin:
        key = (await made(admin))["key"]
        await status(people, key)
        listed = (await admin.get("/api/v1/keys")).json()
    assert next(one for one in listed if one["name"] == "website")["last_used_at"] is not None


@pytest.mark.parametrize(
    "wanted", [{"scopes": ["everything"]}, {"role": "root"}, {"expires_at": "2020-01-01T00:00:00Z"}]
)
async def test_a_key_that_makes_no_sense_is_not_made(people: People, tenant: UUID, wanted: dict[str, object]) -> None:
    async with people.admin(tenant) as admin:
        assert (await admin.post("/api/v1/keys", json={"name": "odd"} | wanted)).status_code == 422


async def test_a_confined_key_decides_about_nobody_who_may_do_more(people: People, tenant: UUID) -> None:
    async with people.admin(tenant) as admin:
        user = (await admin.post("/api/v1/users", json={"email": "ada@example.org"})).json()["user"]
    confined = await people.key(tenant, "admin", scopes=["users.manage"])
    async with people.calling(confined) as client:
        for role in ("viewer", "admin"):
            wanted = {"email": f"{role}@example.org", "role": role}
            assert (await client.post("/api/v1/users", json=wanted)).status_code == 403
        assert (await client.post(f"/api/v1/users/{user['id']}/password-token")).status_code == 403
    as_far = await people.key(tenant, "admin", scopes=["users.manage", *reach_of("viewer")])
    async with people.calling(as_far) as client:
        assert (await client.post(f"/api/v1/users/{user['id']}/password-token")).is_success


async def test_a_key_that_may_only_look_at_sources_adds_none(people: People, tenant: UUID) -> None:
    looking = await people.key(tenant, "admin", scopes=["sources.read"])
    async with people.calling(looking) as client:
        assert (await client.post("/api/v1/ingest", json={"sources": ["/tmp/none"]})).status_code == 403
        assert (await client.get("/api/v1/sources")).json()["sources"] == []
