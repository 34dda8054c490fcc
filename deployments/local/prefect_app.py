"""Prefect's server, without two ways to come to a standstill, a third of what creating a run costs it and its caches.

On SQLite its transactions read first and write later, which SQLite refuses ("database is locked") when another one has
written meanwhile: ours take the right to write at once, and wait for it. And Python's cursor keeps a statement that
failed until it is freed, on the event loop; if the connection waits for a lock at that moment, the loop waits for it
and whoever holds the lock for the loop, until SQLite gives up after a minute: ours let go in the thread they failed in.

Each connection may keep 80 MB of its database in memory, beside what the system has of the file: ours keep 2 MB.

For each run it checks that its pool's template, and that with defaults, is a JSON schema: ours check a text once.
"""

import json
import sqlite3
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from fastapi import FastAPI
from sqlalchemy import Dialect, Engine, event

KNOWN_SCHEMAS = 256
SAID = {"BEGIN DEFERRED": "BEGIN IMMEDIATE", "PRAGMA cache_size = 20000;": "PRAGMA cache_size = -2000;"}


class Cursor(sqlite3.Cursor):
    """Begin with the right to write, keep little in memory, and close at the first failure."""

    def execute(self, statement: str, *parameters: Any) -> "Cursor":
        try:
            return super().execute(SAID.get(statement, statement), *parameters)
        except sqlite3.Error:
            self.close()
            raise

    def executemany(self, statement: str, *parameters: Any) -> "Cursor":
        try:
            return super().executemany(statement, *parameters)
        except sqlite3.Error:
            self.close()
            raise


class Connection(sqlite3.Connection):
    """Hand out our cursors."""

    def cursor(self, factory: Any = Cursor) -> Any:
        return super().cursor(factory)


def create_app() -> FastAPI:
    """Return the very application that `prefect server start` serves."""
    event.listen(Engine, "do_connect", _connect_as_ours)
    from prefect.server.api import server  # it may open its database while it is imported

    _check_schemas_once()
    return server.create_app()


def _connect_as_ours(dialect: Dialect, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
    if dialect.name == "sqlite":
        parameters["factory"] = Connection


def _check_schemas_once() -> None:
    from prefect.utilities.schema_tools import validation

    validator: Any = getattr(validation, "_VALIDATOR", None)
    if validator is not None:  # a private name: without it each run is checked, as Prefect does
        validator.check_schema = checked_once(validator.check_schema)


def checked_once(check: Callable[[Any], None]) -> Callable[..., None]:
    """Return a check that knows the schemas that passed; those that fail are checked again."""

    @lru_cache(KNOWN_SCHEMAS)
    def passed(schema: str) -> None:
        check(json.loads(schema))

    def check_schema(schema: Any, **_: Any) -> None:
        passed(json.dumps(schema, sort_keys=True))

    return check_schema
