"""Rows of Appwrite's tables: written over, deleted, and emptied of one tenant."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from blocks.appwrite_calls import refused_as

if TYPE_CHECKING:
    from appwrite.client import Client

MISSING = 404
BATCH = 100


class MirroredRow(NamedTuple):
    """Hold a row as it is to be; `data` is None for one that is to be gone."""

    table: str
    id: str
    data: dict[str, Any] | None


def bring(client: "Client", database: str, rows: Iterable[MirroredRow], teams: Iterable[str]) -> None:
    """Make rows as they are to be, readable by the teams. Safe to repeat."""
    from appwrite.permission import Permission
    from appwrite.role import Role
    from appwrite.services.tables_db import TablesDB

    service = TablesDB(client)
    readers = [Permission.read(Role.team(team)) for team in teams]
    for table, row_id, data in rows:
        if data is not None:
            service.upsert_row(database, table, row_id, data, permissions=readers)
            continue
        try:
            service.delete_row(database, table, row_id)
        except Exception as error:
            if not refused_as(error, MISSING):
                raise


def empty(client: "Client", database: str, table: str, tenant: str) -> None:
    """Delete every row of a tenant."""
    from appwrite.query import Query
    from appwrite.services.tables_db import TablesDB

    wanted = [Query.equal("tenant", [tenant]), Query.limit(BATCH)]
    while TablesDB(client).delete_rows(database, table, wanted).rows:
        pass
