"""Tenants live side by side, are stopped at once, exported whole and erased without a trace."""

import asyncio
import io
import json
import os
import time
import tracemalloc
import zipfile
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, text

from blocks.connections import bucket
from flows import answer
from kowai.erasure import HOLD
from kowai.errors import TenantSuspended
from kowai.settings import settings
from kowai.tables.ingestion import Source
from kowai.tenant_tables import tenant_tables
from kowai.types import Question
from tasks import export_tenant as exporting
from tasks.export_tenant import DeletedMeanwhile, export_tenant, sweep_exports
from tasks.forget import certify
from tasks.hosting import erase_tenant, suspend_tenant
from tasks.receive import Inquiry, receive_query
from tasks.remove import sweep_bucket
from tasks.sources import remember
from tasks.step import traced
from tests.deployments.conftest import People


async def rows_of(people: People, tenant: UUID) -> dict[str, int]:
    counts: dict[str, int] = {}
    async with people.database.transaction(tenant, even_suspended=True) as connection:
        for table in tenant_tables():
            counts[table.name] = await connection.scalar(select(func.count()).select_from(table)) or 0
    return counts


async def test_ten_tenants_side_by_side_see_only_their_own(people: People, tenant: UUID) -> None:
    made: list[tuple[UUID, str]] = []
    async with people.admin(tenant, "platform_admin") as platform:
        for number in range(10):
            reply = (await platform.post("/api/v1/tenants", json={"name": f"tenant-{number}"})).json()
            made.append((UUID(reply["tenant"]["id"]), reply["key"]))
        assert len((await platform.get("/api/v1/tenants")).json()) == 11
    asked: list[UUID] = []
    for number, (tenant_id, _) in enumerate(made):
        await remember([f"folder-{number}"], tenant_id)
        asked.append(await receive_query(Inquiry(f"What does tenant {number} know?"), tenant_id))
    for number, (tenant_id, key) in enumerate(made):
        async with people.calling(key) as admin:
            codes = [(await admin.get(f"/api/v1/query/{query_id}")).status_code for query_id in asked]
            assert codes == [200 if other == number else 404 for other in range(10)]
            assert (await admin.get("/api/v1/tenants")).status_code == 403
        async with people.database.transaction(tenant_id) as connection:
            assert (await connection.scalars(select(Source.uri))).all() == [f"folder-{number}"]


async def test_a_suspended_tenant_has_no_request_and_no_run_until_it_goes_on(
    people: People, tenant: UUID, other_tenant: UUID
) -> None:
    key = await people.key(other_tenant, "admin")
    async with people.admin(tenant, "platform_admin") as platform, people.calling(key) as admin:
        await platform.patch(f"/api/v1/tenants/{other_tenant}", json={"suspended": True})
        refused = await admin.get("/api/v1/auth/me")
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "tenant_suspended")
        with pytest.raises(TenantSuspended):
            await receive_query(Inquiry("Is anybody there?"), other_tenant)
        assert (await platform.get("/api/v1/auth/me")).status_code == 200
        await platform.patch(f"/api/v1/tenants/{other_tenant}", json={"suspended": False})
        assert (await admin.get("/api/v1/auth/me")).status_code == 200


async def test_an_export_holds_every_table_and_file_and_no_secret(
    people: People, tenant: UUID, other_tenant: UUID
) -> None:
    await remember(["mine"], tenant)
    await remember(["theirs"], other_tenant)
    await bucket().put(tenant, b"an original")
    async with people.admin(tenant) as admin:
        export = (await admin.post("/api/v1/export")).json()
        content = (await admin.get(f"/api/v1/exports/{export['name']}")).content
    async with people.admin(other_tenant) as stranger:
        assert (await stranger.get(f"/api/v1/exports/{export['name']}")).status_code == 404
    archive = zipfile.ZipFile(io.BytesIO(content))
    names = {name.removesuffix(".jsonl") for name in archive.namelist() if name.endswith(".jsonl")}
    assert names == {table.name for table in tenant_tables()}
    assert [json.loads(line)["uri"] for line in archive.read("source.jsonl").splitlines()] == ["mine"]
    assert "digest" not in json.loads(archive.read("api_key.jsonl").splitlines()[0])
    assert [archive.read(name) for name in archive.namelist() if name.startswith("files/")] == [b"an original"]


async def test_an_export_takes_no_more_memory_than_a_piece_of_it(people: People, tenant: UUID) -> None:
    for _ in range(2):
        await bucket().put(tenant, os.urandom(16 << 20))
    long = text("""
    insert into event (tenant_id, subject, kind, payload)
    select :tenant, :tenant, 'long', jsonb_build_object('text', repeat(md5(n::text), 10000))
    from generate_series(1, 60) n
    """)
    async with people.database.transaction(tenant) as connection:
        await connection.execute(long, {"tenant": tenant})
    await export_tenant(tenant)  # what is imported and compiled but once is no part of it
    tracemalloc.start()
    export = await export_tenant(tenant)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert export.bytes > 32 << 20
    assert export.rows["event"] == 60
    assert most < 8 << 20


async def test_an_export_is_kept_as_long_as_it_says_and_is_in_no_other_export(people: People, tenant: UUID) -> None:
    async with people.admin(tenant) as admin:
        export = (await admin.post("/api/v1/export")).json()
        path = bucket().folder / str(tenant) / "exports" / export["name"]
        kept = datetime.fromisoformat(export["kept_until"]) - datetime.now(UTC)
        assert timedelta(days=6) < kept <= timedelta(days=7)
        assert (await admin.post("/api/v1/export")).json()["files"] == 0
        for days, removed in ((6, 0), (8, 1)):
            then = time.time() - days * 86_400
            os.utime(path, (then, then))
            assert await sweep_bucket(tenant) == 0
            assert await sweep_exports(tenant) == removed
        assert (await admin.get(f"/api/v1/exports/{export['name']}")).status_code == 404


async def test_erasing_empties_every_table_removes_the_files_and_leaves_the_others(
    people: People, tenant: UUID, other_tenant: UUID
) -> None:
    await remember(["mine"], tenant)
    await remember(["theirs"], other_tenant)
    await bucket().put(other_tenant, b"an original")
    left = [settings().state / name / str(other_tenant) for name in ("repositories", "replies")]
    for folder in left:
        folder.mkdir(parents=True)
        (folder / "text").write_text("What they know.")
    async with people.admin(other_tenant) as admin:
        await admin.post("/api/v1/keys", json={"name": "website"})
        await receive_query(Inquiry("What do you know?"), other_tenant)
    path, name = f"/api/v1/tenants/{other_tenant}", {"name": "other"}
    async with people.admin(tenant, "platform_admin") as platform:
        assert (await platform.request("DELETE", path, json=name)).status_code == 409
        await platform.patch(path, json={"suspended": True})
        assert (await platform.request("DELETE", path, json={"name": "default"})).status_code == 422
        certificate = (await platform.request("DELETE", path, json=name)).json()
    assert certificate["counts"]["source"] == 1
    assert certificate["counts"]["audit_entry"] == 1
    assert not any((await rows_of(people, other_tenant)).values())
    assert not any(folder.exists() for folder in (*left, bucket().folder / str(other_tenant)))
    assert (await rows_of(people, tenant))["source"] == 1
    async with people.database.connection() as connection:
        assert await connection.scalar(text("select count(*) from tenant where name = 'other'")) == 0


async def test_an_export_that_is_put_away_after_its_tenant_was_erased_is_not_kept(
    people: People, tenant: UUID, other_tenant: UUID
) -> None:
    began = await exporting._begun(other_tenant)
    await suspend_tenant(other_tenant, suspended=True)
    await erase_tenant(other_tenant, requested_by=tenant, platform_id=tenant)
    with pytest.raises(DeletedMeanwhile):
        await exporting._keep(f"{other_tenant}/exports/{'a' * 64}", io.BytesIO(b"all"), other_tenant, began)
    assert not (bucket().folder / str(other_tenant)).exists()


@pytest.mark.parametrize("whose", ["the tenant's", "the platform's"])
async def test_erasing_waits_for_exports_of_the_tenant_and_deletions_of_the_platform(
    people: People, tenant: UUID, other_tenant: UUID, whose: str
) -> None:
    await suspend_tenant(other_tenant, suspended=True)
    held = {"the tenant's": other_tenant, "the platform's": tenant}[whose]
    facts = {"document_id": None, "requested_by": None, "counts": {}, "name_hash": ""}
    async with people.database.transaction(held, even_suspended=True) as connection:
        await connection.execute(text(HOLD))
        erasing = asyncio.create_task(erase_tenant(other_tenant, requested_by=tenant, platform_id=tenant))
        waits = text("select exists (select from pg_locks where locktype = 'advisory' and not granted)")
        while not erasing.done() and not await connection.scalar(waits):
            await asyncio.sleep(0.01)
        assert not erasing.done()
        before = await certify(connection, facts, held) if held == tenant else None
    assert (await erasing).previous_hash == (before.hash if before else None)


async def test_a_question_whose_tenant_is_suspended_while_it_is_answered_has_failed(
    people: People, tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    query_id = await receive_query(Inquiry("What do you know?"), tenant)

    async def suspended(_question: Question) -> None:
        await suspend_tenant(tenant, suspended=True)
        await receive_query(Inquiry("What else?"), tenant)

    monkeypatch.setattr(answer, "retrieve", suspended)
    with traced(), pytest.raises(TenantSuspended):
        await answer.answer_query.fn(query_id, tenant)
    async with people.database.transaction(tenant, even_suspended=True) as connection:
        row = (await connection.execute(text("select status, refusal from query"))).one()
    assert row.tuple() == ("failed", "tenant_suspended")


async def test_nobody_suspends_or_erases_the_tenant_they_act_for(people: People, tenant: UUID) -> None:
    async with people.admin(tenant, "platform_admin") as platform:
        path = f"/api/v1/tenants/{tenant}"
        assert (await platform.patch(path, json={"suspended": True})).status_code == 403
        assert (await platform.request("DELETE", path, json={"name": "default"})).status_code == 403


@pytest.mark.parametrize("name", ["", "Acme", "-acme", "a" * 64, "a b", "default"])
async def test_names_that_cannot_be_used_are_refused(people: People, tenant: UUID, name: str) -> None:
    async with people.admin(tenant, "platform_admin") as platform:
        assert (await platform.post("/api/v1/tenants", json={"name": name})).status_code in (409, 422)
