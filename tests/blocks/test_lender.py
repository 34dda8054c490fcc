"""Connections stay open from one transaction to the next, and nothing of one is left in another."""

import asyncio
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text

from blocks import lender
from blocks.database import Database
from blocks.lender import READY
from kowai.errors import DatabaseAway, NotFound
from kowai.spaces import LOCK, MAKE

SESSION = text("select pg_backend_pid()")
SET = text("select current_setting('app.tenant', true)")
RENAME = text("update tenant set name = :name where id = :id")


async def session(store: Database, tenant: UUID) -> int:
    async with store.transaction(tenant) as connection:
        return await connection.scalar(SESSION) or 0


async def name(store: Database, tenant: UUID) -> str | None:
    async with store.transaction(tenant) as connection:
        return await connection.scalar(text("select name from tenant where id = :id"), {"id": tenant})


async def test_a_connection_serves_one_transaction_after_the_other(store: Database, tenant: UUID) -> None:
    assert await session(store, tenant) == await session(store, tenant)


async def test_no_tenant_is_left_set_behind_a_transaction(store: Database, tenant: UUID) -> None:
    used = await session(store, tenant)
    async with store.connection() as connection:
        assert await connection.scalar(SESSION) == used
        assert not await connection.scalar(SET)


async def test_what_a_refusal_interrupts_is_undone_and_the_connection_serves_again(
    store: Database, tenant: UUID
) -> None:
    used, before = await session(store, tenant), await name(store, tenant)

    async def work() -> None:
        async with store.transaction(tenant) as connection:
            await connection.execute(RENAME, {"name": "undone", "id": tenant})
            raise NotFound("There is no such thing.")

    with pytest.raises(NotFound):
        await work()
    assert (await session(store, tenant), await name(store, tenant)) == (used, before)


async def test_a_cancelled_transaction_is_undone(store: Database, tenant: UUID) -> None:
    before, begun = await name(store, tenant), asyncio.Event()

    async def work() -> None:
        async with store.transaction(tenant) as connection:
            await connection.execute(RENAME, {"name": "undone", "id": tenant})
            begun.set()
            await connection.execute(text("select pg_sleep(60)"))

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await name(store, tenant) == before


async def test_a_session_that_the_server_has_ended_is_replaced(store: Database, tenant: UUID, owner_url: str) -> None:
    used = await session(store, tenant)
    with psycopg.connect(owner_url) as owner:
        owner.execute("select pg_terminate_backend(%s, 5000)", (used,))
    with pytest.raises(DatabaseAway):
        await session(store, tenant)
    assert await session(store, tenant) != used


async def test_what_is_lent_when_all_is_closed_is_closed_as_it_comes_back(
    store: Database, tenant: UUID, owner_url: str
) -> None:
    async with store.transaction(tenant) as connection:
        used = await connection.scalar(SESSION) or 0
        await store.close()
    with psycopg.connect(owner_url, autocommit=True) as owner:
        while _open_of(owner, [used]):
            await asyncio.sleep(0.05)


async def test_more_transactions_than_there_are_connections_take_turns(store: Database, tenant: UUID) -> None:
    small = Database(url=store.url, pool_size=1)
    try:
        sessions = await asyncio.gather(*(session(small, tenant) for _ in range(12)))
        assert len(sessions) == 12
        assert len(set(sessions)) <= 2
    finally:
        await small.close()


async def test_what_belongs_to_no_tenant_is_done_whole_or_not_at_all(store: Database, tenant: UUID) -> None:
    kept = text("select count(*) from embedding_space")
    async with store.connection() as connection:
        before = await connection.scalar(kept)

    async def work() -> None:
        async with store.platform_transaction() as connection:
            made = {"model": "half", "dimensions": 3, "embedder": "half"}
            await connection.execute(text(MAKE), made)
            assert await connection.scalar(kept) == (before or 0) + 1
            raise NotFound("There is no such thing.")

    with pytest.raises(NotFound):
        await work()
    async with store.connection() as connection:
        assert await connection.scalar(kept) == before


async def test_a_lock_of_the_platform_is_held_until_its_transaction_ends(store: Database) -> None:
    free = text("select pg_try_advisory_xact_lock(4072002)")
    async with store.platform_transaction() as connection:
        await connection.execute(text(LOCK))
        async with store.connection() as other:
            assert not await other.scalar(free)
    async with store.connection() as other:
        assert await other.scalar(free)


async def test_connections_that_nobody_needs_are_closed_but_for_a_few(
    store: Database, tenant: UUID, owner_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lender, "UNUSED_SECONDS", 0.05)
    met = asyncio.Barrier(READY + 3)

    async def together() -> int:
        async with store.transaction(tenant) as connection:
            used = await connection.scalar(SESSION)
            await met.wait()
            return used or 0

    sessions = await asyncio.gather(*(together() for _ in range(READY + 3)))
    with psycopg.connect(owner_url, autocommit=True) as owner:
        while (open_now := _open_of(owner, sessions)) > READY:
            await asyncio.sleep(0.05)
    assert open_now == READY
    assert await session(store, tenant) in sessions


def _open_of(owner: psycopg.Connection, sessions: list[int]) -> int:
    (count,) = owner.execute("select count(*) from pg_stat_activity where pid = any(%s)", (sessions,)).fetchone() or (
        0,
    )
    return int(count)
