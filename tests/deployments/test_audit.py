"""Every change and every look at others' data is written down, and the log shows when it was touched."""

import asyncio
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from tasks import audit
from tasks.receive import Inquiry, receive_query
from tests.deployments.conftest import People


async def entries(people: People, tenant: UUID) -> list[tuple[str, str, int]]:
    return [
        (link.deed.action, link.deed.target, link.deed.status)
        for link in await audit.read_links(tenant)
        if link.deed.permission != "audit.read"
    ]


async def test_changes_are_written_down_refused_ones_too_and_plain_reads_are_not(people: People, tenant: UUID) -> None:
    async with people.admin(tenant) as admin:
        await admin.post("/api/v1/keys", json={"name": "website"})
        await admin.post("/api/v1/keys", json={"name": "root", "role": "platform_admin"})
        await admin.get("/api/v1/costs")
    assert await entries(people, tenant) == [("POST", "/api/v1/keys", 201), ("POST", "/api/v1/keys", 403)]


async def test_an_entry_names_who_from_where(people: People, tenant: UUID) -> None:
    async with people.admin(tenant) as admin:
        await admin.post("/api/v1/keys", json={"name": "website"})
    deed = (await audit.read_links(tenant))[0].deed
    assert (deed.name, deed.permission, deed.address) == ("admin", "keys.manage", "127.0.0.1")


async def test_reading_anothers_question_is_written_down_and_reading_ones_own_is_not(
    people: People, tenant: UUID
) -> None:
    async with people.admin(tenant) as admin:
        myself = UUID((await admin.get("/api/v1/auth/me")).json()["id"])
        mine = await receive_query(Inquiry("How long is it?", asked_by=myself), tenant)
        others = await receive_query(Inquiry("How long is it?", asked_by=UUID(int=1)), tenant)
        for query_id in (mine, others):
            assert (await admin.get(f"/api/v1/query/{query_id}")).status_code == 200
    assert await entries(people, tenant) == [("GET", f"/api/v1/query/{others}", 200)]


async def test_the_application_can_neither_change_nor_delete_an_entry(people: People, tenant: UUID) -> None:
    async with people.admin(tenant) as admin:
        await admin.post("/api/v1/keys", json={"name": "website"})
    for statement in ("update audit_entry set status = 200", "delete from audit_entry", "truncate audit_entry"):
        with pytest.raises(ProgrammingError, match="permission denied"):
            async with people.database.transaction(tenant) as connection:
                await connection.execute(text(statement))


@pytest.mark.parametrize(
    "touch", ["update audit_entry set name = 'eve' where number = 2", "delete from audit_entry where number = 2"]
)
async def test_a_touched_entry_is_found(people: People, tenant: UUID, database_url: str, touch: str) -> None:
    async with people.admin(tenant) as admin:
        for name in ("one", "two", "three"):
            await admin.post("/api/v1/keys", json={"name": name})
        assert (await admin.get("/api/v1/audit/verify")).json()["broken_at"] is None
        with psycopg.connect(database_url) as connection:
            connection.execute("alter table audit_entry no force row level security")
            connection.execute(touch)
            connection.execute("alter table audit_entry force row level security")
        assert (await admin.get("/api/v1/audit/verify")).json()["broken_at"] == 2


async def test_writers_at_the_same_time_make_one_chain(people: People, tenant: UUID) -> None:
    async with people.admin(tenant) as admin:
        await asyncio.gather(*(admin.post("/api/v1/keys", json={"name": str(number)}) for number in range(12)))
    verdict = await audit.verify_log(tenant)
    assert (verdict.entries, verdict.broken_at) == (12, None)


async def test_only_admins_read_the_log_and_that_is_written_down(people: People, tenant: UUID) -> None:
    async with people.admin(tenant, "operator") as operator:
        assert (await operator.get("/api/v1/audit")).status_code == 403
    async with people.admin(tenant) as admin:
        listed = (await admin.get("/api/v1/audit")).json()
    assert [(entry["name"], entry["status"]) for entry in listed] == [("operator", 403)]


async def test_one_tenant_never_reads_anothers_log(people: People, tenant: UUID, other_tenant: UUID) -> None:
    async with people.admin(tenant) as admin:
        await admin.post("/api/v1/keys", json={"name": "website"})
    async with people.admin(other_tenant) as admin:
        assert (await admin.get("/api/v1/audit")).json() == []


async def test_what_cannot_be_written_down_is_not_confirmed(
    people: People, tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deployments.shim import gate
    from kowai.errors import Unavailable

    async def broken(*_: object) -> None:
        raise Unavailable("The database cannot be reached.")

    monkeypatch.setattr(gate, "append", broken)
    async with people.admin(tenant) as admin:
        response = await admin.post("/api/v1/keys", json={"name": "website"})
    assert response.status_code == 503
    assert "kowai_" not in response.text
