"""Statements that are held come along with the next one, in the same transaction, and fail with it."""

import asyncio
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import cast
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import select, text
from sqlmodel import col

from blocks.compiled import Compiled
from blocks.database import Database
from blocks.driver import Driver
from blocks.lender import driver_of
from kowai.errors import NotFound, TenantSuspended
from kowai.tables.ledger import Outbox

PUT = Compiled(
    text("insert into outbox (id, tenant_id, kind, attempts, due_at) values (:id, :tenant, 'test', 0, now())")
)
NAME = Compiled(text("select name from tenant where id = :id"))
UNPREPARED = 5  # times that the driver runs a statement before it prepares it
OFTEN = 12


async def kept(store: Database, tenant: UUID) -> set[UUID]:
    async with store.transaction(tenant) as connection:
        return set(await connection.scalars(select(col(Outbox.id)).where(col(Outbox.kind) == "test")))


async def put(store: Database, tenant: UUID, *entries: dict[str, UUID]) -> None:
    async with store.transaction(tenant) as connection:
        for each in entries:
            PUT.later(connection, each)


async def put_and_read(store: Database, tenant: UUID, written: dict[str, UUID]) -> None:
    async with store.transaction(tenant) as connection:
        PUT.later(connection, written)
        NAME.later(connection, {"id": tenant})


async def name(store: Database, tenant: UUID) -> str:
    async with store.transaction(tenant) as connection:
        found = NAME.later(connection, {"id": tenant})
    return (await found.fetchone()).name


@contextmanager
def sent(driver: Driver, path: Path) -> Generator[list[str]]:
    """Give, when the block has ended, the words of all messages to and from PostgreSQL that it caused."""
    words = list[str]()
    with path.open("w") as file:
        driver.pgconn.trace(file.fileno())
        yield words
        driver.pgconn.untrace()
    words += re.findall(r"\w+", path.read_text())


def entry(tenant: UUID) -> dict[str, UUID]:
    return {"id": uuid4(), "tenant": tenant}


async def test_the_rows_of_a_held_statement_are_there_when_the_transaction_has_ended(
    store: Database, tenant: UUID
) -> None:
    written = entry(tenant)
    async with store.transaction(tenant) as connection:
        PUT.later(connection, written)
        found = NAME.later(connection, {"id": tenant})
        assert driver_of(connection).info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    assert (await found.fetchone()).name
    assert written["id"] in await kept(store, tenant)


async def test_a_statement_sees_what_was_held_before_it(store: Database, tenant: UUID) -> None:
    written = entry(tenant)
    async with store.transaction(tenant) as connection:
        PUT.later(connection, written)
        found = await connection.scalars(select(col(Outbox.id)).where(col(Outbox.id) == written["id"]))
        assert list(found) == [written["id"]]


async def test_a_held_statement_that_fails_undoes_its_transaction(store: Database, tenant: UUID) -> None:
    first, second = entry(tenant), entry(tenant)
    with pytest.raises(psycopg.errors.UniqueViolation):
        await put(store, tenant, first, first, second)
    assert not {first["id"], second["id"]} & await kept(store, tenant)


async def test_a_held_statement_that_cannot_be_sent_undoes_its_transaction(store: Database, tenant: UUID) -> None:
    first = entry(tenant)
    with pytest.raises(psycopg.ProgrammingError):
        await put(store, tenant, first, {"id": cast(UUID, object()), "tenant": tenant})
    assert first["id"] not in await kept(store, tenant)


async def test_a_statement_that_was_to_be_prepared_behind_one_that_fails_is_run_again(
    store: Database, tenant: UUID
) -> None:
    taken = entry(tenant)
    await put(store, tenant, taken)
    for _ in range(UNPREPARED):
        assert await name(store, tenant)
    with pytest.raises(psycopg.errors.UniqueViolation):
        await put_and_read(store, tenant, taken)
    for _ in range(OFTEN):
        assert await name(store, tenant)


async def test_what_needs_one_round_trip_is_a_transaction_without_being_told_so(
    store: Database, tenant: UUID, tmp_path: Path
) -> None:
    written = [entry(tenant), entry(tenant)]
    async with store.transaction(tenant) as connection:
        with sent(driver_of(connection), tmp_path / "messages") as messages:
            for each in written:
                PUT.later(connection, each)
            await driver_of(connection).commit()
    assert messages.count("Sync") == 1
    assert not {"begin", "commit"} & set(messages)
    assert {each["id"] for each in written} <= await kept(store, tenant)


async def test_the_commit_comes_along_with_what_is_held(store: Database, tenant: UUID, tmp_path: Path) -> None:
    written = entry(tenant)
    async with store.transaction(tenant) as connection:
        await NAME.row(connection, {"id": tenant})
        PUT.later(connection, written)
        with sent(driver_of(connection), tmp_path / "messages") as messages:
            await driver_of(connection).commit()
    assert messages.count("Sync") == messages.count("commit") == 1
    assert written["id"] in await kept(store, tenant)


async def test_what_is_held_when_a_block_fails_is_never_run(store: Database, tenant: UUID) -> None:
    written = entry(tenant)

    async def work() -> None:
        async with store.transaction(tenant) as connection:
            PUT.later(connection, written)
            raise NotFound("There is no such thing.")

    with pytest.raises(NotFound):
        await work()
    assert written["id"] not in await kept(store, tenant)


async def test_a_transaction_that_does_nothing_is_not_begun(store: Database, tenant: UUID) -> None:
    async with store.transaction(tenant) as connection:
        driver = driver_of(connection)
    assert driver.is_at_rest()
    assert await kept(store, tenant) is not None


async def test_the_first_statement_of_a_suspended_tenant_is_refused_whoever_runs_it(
    store: Database, tenant: UUID
) -> None:
    async with store.transaction(tenant, even_suspended=True) as connection:
        await connection.execute(text("update tenant set suspended = true where id = :id"), {"id": tenant})
    with pytest.raises(TenantSuspended):
        await kept(store, tenant)
    with pytest.raises(TenantSuspended):
        await put(store, tenant, entry(tenant))


async def test_a_cancelled_first_statement_leaves_a_connection_that_serves_again(store: Database, tenant: UUID) -> None:
    written, begun = entry(tenant), asyncio.Event()

    async def work() -> None:
        async with store.transaction(tenant) as connection:
            PUT.later(connection, written)
            begun.set()
            await connection.execute(text("select pg_sleep(60)"))

    task = asyncio.create_task(work())
    await begun.wait()
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert written["id"] not in await kept(store, tenant)


async def test_rows_that_stay_with_the_server_are_read_in_the_transaction(store: Database, tenant: UUID) -> None:
    async with store.transaction(tenant) as connection:
        found = await connection.stream(text("select current_setting('app.tenant')"))
        assert [row[0] async for row in found] == [str(tenant)]


async def test_a_statement_that_is_run_for_many_values_begins_a_transaction(store: Database, tenant: UUID) -> None:
    written = [entry(tenant), entry(tenant)]
    many = text("insert into outbox (id, tenant_id, kind, attempts, due_at) values (:id, :tenant, 'test', 0, now())")
    async with store.transaction(tenant) as connection:
        await connection.execute(many, written)
    assert {each["id"] for each in written} <= await kept(store, tenant)


async def test_what_is_found_by_its_key_is_planned_once_a_connection_and_all_else_each_time(
    store: Database, tenant: UUID
) -> None:
    planned = text("select sum(generic_plans), sum(custom_plans) from pg_prepared_statements where statement like :it")
    for by_key in (True, False):
        for _ in range(OFTEN):
            async with store.transaction(tenant, by_key=by_key) as connection:
                await NAME.row(connection, {"id": tenant})
        async with store.transaction(tenant) as connection:
            generic, custom = (await connection.execute(planned, {"it": "select name from tenant%"})).one()
            assert await connection.scalar(text("show enable_seqscan")) == "on"
        assert (generic > 0, custom > 0) == (True, not by_key)
