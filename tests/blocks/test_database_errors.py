"""What the database says about a statement that failed holds no value that somebody gave it."""

import traceback
from uuid import UUID

import cloudpickle
import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from blocks.database import Database
from blocks.lender import driver_of

PLANTED = "carmen planted"
TABLE = "create temporary table held (a text check (length(a) < 3), b text not null default '', c text unique)"

FAILING = [
    ("22P02", "select cast(:planted as text)::int"),
    ("22P02", "select cast(:planted as text)::jsonb"),
    ("22007", "select cast(:planted as text)::date"),
    ("2201B", "select 'a' ~ ('(' || :planted)"),
    ("42601", "select to_tsquery('simple', :planted)"),
    ("23514", "insert into held (a) values (:planted)"),
    ("23502", "insert into held (b, c) values (null, :planted)"),
    ("23505", "insert into held (c) values (:planted), (:planted)"),
    ("22012", f"select '{PLANTED}', 1 / 0, :planted"),
    ("42703", f"select '{PLANTED}' as one, no_column, :planted"),
]


async def failing(store: Database, tenant: UUID, statement: str) -> None:
    async with store.transaction(tenant) as connection:
        await connection.execute(text(TABLE))
        await connection.execute(text(statement), {"planted": PLANTED})


@pytest.mark.parametrize(("sqlstate", "statement"), FAILING)
async def test_an_error_names_its_kind_and_shows_no_value(
    store: Database, tenant: UUID, sqlstate: str, statement: str
) -> None:
    with pytest.raises(DBAPIError) as failed:
        await failing(store, tenant, statement)
    told = "".join(traceback.format_exception(failed.value)) + repr(failed.value) + repr(failed.value.orig)
    assert PLANTED not in told
    assert PLANTED.encode() not in cloudpickle.dumps(failed.value)  # as Prefect keeps what a run failed with
    assert sqlstate in str(failed.value)
    assert isinstance(failed.value.orig, psycopg.Error)
    assert failed.value.orig.sqlstate == sqlstate


async def test_a_constraint_is_named_with_its_table(store: Database, tenant: UUID) -> None:
    with pytest.raises(DBAPIError, match=r"23514 .*, table held, constraint held_a_check"):
        await failing(store, tenant, "insert into held (a) values (:planted)")


async def failing_below(store: Database, tenant: UUID, statement: str) -> None:
    async with store.transaction(tenant) as connection:
        driver = driver_of(connection)
        await driver.execute(TABLE.encode())
        await driver.execute(statement.replace(":planted", "%(planted)s").encode(), {"planted": PLANTED})


@pytest.mark.parametrize(("sqlstate", "statement"), FAILING)
async def test_nor_does_an_error_of_the_driver_alone(
    store: Database, tenant: UUID, sqlstate: str, statement: str
) -> None:
    with pytest.raises(psycopg.Error, match=sqlstate) as failed:
        await failing_below(store, tenant, statement)
    assert PLANTED not in str(failed.value) + repr(failed.value)
    assert PLANTED.encode() not in cloudpickle.dumps(failed.value)
    assert failed.value.sqlstate == sqlstate
