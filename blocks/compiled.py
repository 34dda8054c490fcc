"""Statements that every answer runs: SQLAlchemy compiles each once a process, and the driver alone runs it."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, LiteralString, cast

import psycopg
from psycopg.rows import namedtuple_row
from psycopg.types.json import Jsonb
from sqlalchemy import JSON, BindParameter, Executable
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.compiler import SQLCompiler

from blocks.lender import driver_of

DIALECT: Any = PGDialect_psycopg()


class Compiled:
    """Run what is always the same but for its values, in the transaction of a connection.

    An insert or update sets `columns` besides what it sets itself; their defaults in Python are not known here. None is
    null, in a column of JSON too. Lists for `in` are not expanded: write each comparison, or `any`.
    """

    def __init__(self, statement: Executable, *columns: str) -> None:
        self._statement, self._columns = statement, columns

    async def rows(self, connection: AsyncConnection, values: Mapping[str, Any]) -> Sequence[Any]:
        """Return all rows, whose columns are attributes."""
        return await (await self._executed(connection, values)).fetchall()

    async def row(self, connection: AsyncConnection, values: Mapping[str, Any]) -> Any:
        """Return the first row, None where there is none."""
        return await (await self._executed(connection, values)).fetchone()

    async def run(self, connection: AsyncConnection, values: Mapping[str, Any]) -> int:
        """Return how many rows were changed."""
        return (await self._executed(connection, values)).rowcount

    def later(self, connection: AsyncConnection, values: Mapping[str, Any]) -> psycopg.AsyncCursor[Any]:
        """Run along with the next statement, or with the commit.

        Return the cursor that has the rows from then on.
        """
        return driver_of(connection).hold(*self._filled(values))

    async def _executed(self, connection: AsyncConnection, values: Mapping[str, Any]) -> psycopg.AsyncCursor[Any]:
        statement, given = self._filled(values)
        cursor = driver_of(connection).cursor(row_factory=namedtuple_row)
        return await cursor.execute(cast("LiteralString", statement), given)

    def _filled(self, values: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        compiled, documents = self._compiled
        given = dict(compiled.construct_params(dict(values)))
        for name in documents:
            given[name] = None if given[name] is None else Jsonb(given[name])
        return compiled.string, given

    @cached_property
    def _compiled(self) -> tuple[SQLCompiler, list[str]]:
        statement: Any = self._statement
        options: dict[str, Any] = {"column_keys": self._columns} if self._columns else {}
        compiled: Any = statement.compile(dialect=DIALECT, **options)
        binds: dict[str, BindParameter[Any]] = compiled.binds
        return compiled, [name for name, bind in binds.items() if isinstance(bind.type, JSON)]
