"""Rows of Appwrite's tables: written over, deleted, and emptied of one tenant."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

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


class MirroredGroup(NamedTuple):
    """Hold by their ids all rows of a table that are to be about one thing, which their column `about` names."""

    table: str
    about: str
    rows: Mapping[str, dict[str, Any]]


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


def bring_group(client: "Client", database: str, group: MirroredGroup, teams: Iterable[str]) -> None:
    """Make the rows about one thing as they are to be, and no others. Safe to repeat."""
    gone = _ids(client, database, group) - set(group.rows)
    rows = [*group.rows.items(), *((row_id, None) for row_id in sorted(gone))]
    bring(client, database, [MirroredRow(group.table, row_id, data) for row_id, data in rows], teams)


def _ids(client: "Client", database: str, group: MirroredGroup) -> set[str]:
    from appwrite.query import Query
    from appwrite.services.tables_db import TablesDB

    found, wanted = list[str](), [Query.equal("about", [group.about]), Query.limit(BATCH)]
    while True:
        after = [Query.cursor_after(found[-1])] if found else []
        page = cast("list[Any]", TablesDB(client).list_rows(database, group.table, wanted + after).rows)
        found += [str(row.id) for row in page]
        if len(page) < BATCH:
            return set(found)


def empty(client: "Client", database: str, table: str, tenant: str) -> None:
    """Delete every row of a tenant."""
    from appwrite.query import Query
    from appwrite.services.tables_db import TablesDB

    wanted = [Query.equal("tenant", [tenant]), Query.limit(BATCH)]
    while TablesDB(client).delete_rows(database, table, wanted).rows:
        pass
