"""Prefect's server on SQLite: transactions that write take turns, and what failed holds nothing."""

import gc
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from prefect.server.database.configurations import AioSqliteConfiguration
from sqlalchemy import Engine, event, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from deployments.local import prefect_app
from deployments.local.prefect_app import Connection, checked_once


def connection(path: Path) -> Connection:
    return sqlite3.connect(path, factory=Connection, isolation_level=None, timeout=0.01)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    with closing(connection(tmp_path / "prefect.db")) as first:
        first.cursor().execute("pragma journal_mode = wal")
        first.cursor().execute("create table t (x)")
    return tmp_path / "prefect.db"


def test_of_two_transactions_that_read_before_they_write_the_second_waits_and_both_are_stored(database: Path) -> None:
    with closing(connection(database)) as one, closing(connection(database)) as other:
        one.cursor().execute("BEGIN DEFERRED")
        one.cursor().execute("select count(*) from t").fetchall()
        with pytest.raises(sqlite3.OperationalError, match="locked"):  # at its begin, where waiting helps
            other.cursor().execute("BEGIN DEFERRED")
        one.cursor().execute("insert into t values (1)")
        one.cursor().execute("commit")
        other.cursor().execute("BEGIN DEFERRED")
        other.cursor().execute("insert into t values (?)", (2,))
        other.cursor().execute("commit")
        assert other.cursor().execute("select x from t order by x").fetchall() == [(1,), (2,)]


@pytest.mark.parametrize("many", [False, True])
def test_a_cursor_lets_go_of_a_statement_that_failed(database: Path, many: bool) -> None:
    with closing(connection(database)) as one, closing(connection(database)) as other:
        one.cursor().execute("begin immediate")
        cursor = other.cursor()
        insert = (cursor.executemany, [(1,)]) if many else (cursor.execute, (1,))
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            insert[0]("insert into t values (?)", insert[1])
        assert not [held for held in gc.get_referents(cursor) if type(held).__name__ == "Statement"]


async def test_each_connection_of_prefect_keeps_two_megabytes_of_its_database_in_memory(database: Path) -> None:
    engine = await AioSqliteConfiguration(connection_url=f"sqlite+aiosqlite:///{database}").engine()
    event.listen(Engine, "do_connect", prefect_app._connect_as_ours)  # pyright: ignore[reportPrivateUsage]
    try:
        async with engine.connect() as connected:
            kept = await connected.scalar(text("pragma cache_size"))
    finally:
        await engine.dispose()
        event.remove(Engine, "do_connect", prefect_app._connect_as_ours)  # pyright: ignore[reportPrivateUsage]
    assert kept == -2000


@pytest.fixture
async def engine(database: Path) -> AsyncIterator[AsyncEngine]:
    event.listen(Engine, "do_connect", prefect_app._connect_as_ours)  # pyright: ignore[reportPrivateUsage]
    made = create_async_engine(f"sqlite+aiosqlite:///{database}")
    yield made
    await made.dispose()
    event.remove(Engine, "do_connect", prefect_app._connect_as_ours)  # pyright: ignore[reportPrivateUsage]


async def test_every_connection_that_sqlalchemy_opens_is_ours(engine: AsyncEngine) -> None:
    async with engine.begin() as begun:
        raw = await begun.get_raw_connection()
        assert type(raw.driver_connection._conn) is Connection  # pyright: ignore
        await begun.execute(text("insert into t values (3)"))
    async with engine.connect() as again:
        assert (await again.scalar(text("select x from t"))) == 3


def test_a_schema_that_passed_is_not_checked_again_and_one_that_failed_is() -> None:
    checked: list[dict[str, str]] = []

    def check(schema: dict[str, str]) -> None:
        checked.append(schema)
        if schema["type"] == "no type":
            raise ValueError(schema)

    once = checked_once(check)
    for _ in range(2):
        once({"type": "object"}, format_checker=None)
        with pytest.raises(ValueError, match="no type"):
            once({"type": "no type"})
    assert [schema["type"] for schema in checked] == ["object", "no type", "no type"]


def test_prefect_checks_each_schema_once_and_still_refuses_what_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.utilities.schema_tools import validation

    validator = validation._VALIDATOR  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(validator, "check_schema", validator.check_schema)
    prefect_app._check_schemas_once()  # pyright: ignore[reportPrivateUsage]
    assert "checked_once" in validator.check_schema.__qualname__
    validation.validate({"count": 1}, {"type": "object", "properties": {"count": {"type": "integer"}}}, True)
    with pytest.raises(ValueError, match="Invalid schema"):
        validation.is_valid_schema({"type": "no type"}, preprocess=False)
