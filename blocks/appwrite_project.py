"""A project of Appwrite as it is to be: its teams, buckets and tables, made where they are missing."""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from blocks.appwrite import Appwrite
from blocks.appwrite_calls import AppwriteUnavailable, refused_as

if TYPE_CHECKING:
    from appwrite.client import Client
    from appwrite.services.tables_db import TablesDB

MISSING = 404
LARGEST_FILE = 5_000_000_000
READY_SECONDS = 60.0

Tables = Mapping[str, Mapping[str, list[dict[str, Any]]]]


async def apply(block: Appwrite, tables: Tables) -> list[str]:
    """Make what the block and `tables` name and is not there; return what was made. Safe to repeat."""
    return await block.call(
        lambda client: [*_teams(client, block), *_bucket(client, block), *_tables(client, block, tables)]
    )


def _teams(client: "Client", block: Appwrite) -> list[str]:
    from appwrite.services.teams import Teams

    teams: Any = Teams(client)
    made = list[str]()
    for team, tenant in block.teams.items():
        if _missing(lambda team=team: teams.get(team)):
            teams.create(team, tenant)
            made.append(f"team {team}")
    return made


def _bucket(client: "Client", block: Appwrite) -> list[str]:
    """Make the bucket for originals and results, which no user may read: only the server does."""
    from appwrite.services.storage import Storage

    storage = Storage(client)
    if not block.bucket or not _missing(lambda: storage.get_bucket(block.bucket)):
        return []
    storage.create_bucket(
        block.bucket, "KowAI", permissions=[], file_security=False, maximum_file_size=LARGEST_FILE, antivirus=False
    )
    return [f"bucket {block.bucket}"]


def _tables(client: "Client", block: Appwrite, tables: Tables) -> list[str]:
    from appwrite.services.tables_db import TablesDB

    if not block.database:
        return []
    service, made = TablesDB(client), list[str]()
    if _missing(lambda: service.get(block.database)):
        service.create(block.database, "KowAI")
        made.append(f"database {block.database}")
    for name, wanted in tables.items():
        if _missing(lambda name=name: service.get_table(block.database, name)):
            service.create_table(block.database, name, name.capitalize(), permissions=[], row_security=True)
            made.append(f"table {name}")
        made += _columns(service, block.database, name, wanted["columns"])
        made += _indexes(service, block.database, name, wanted["indexes"])
    return made


def _columns(service: "TablesDB", database: str, table: str, wanted: list[dict[str, Any]]) -> list[str]:
    """Make the columns that are missing, and wait until all can be written to: Appwrite makes them afterwards."""
    there = {column.key for column in service.get_table(database, table).columns}
    missing = [column for column in wanted if column["key"] not in there]
    for column in missing:
        told = {name: value for name, value in column.items() if name not in ("kind", "required")}
        make: Callable[..., Any] = getattr(service, f"create_{column['kind']}_column")
        make(database, table, required=column.get("required", False), **told)
    deadline = time.monotonic() + READY_SECONDS
    while not all(_is_made(column) for column in service.get_table(database, table).columns):
        if time.monotonic() > deadline:
            raise AppwriteUnavailable(operator=f"the columns of {table} are not made yet")
        time.sleep(0.5)
    return [f"column {table}.{column['key']}" for column in missing]


def _indexes(service: "TablesDB", database: str, table: str, wanted: list[dict[str, Any]]) -> list[str]:
    from appwrite.enums.tables_db_index_type import TablesDBIndexType

    there = {index.key for index in service.get_table(database, table).indexes}
    missing = [index for index in wanted if index["key"] not in there]
    for index in missing:
        service.create_index(database, table, index["key"], TablesDBIndexType.KEY, index["columns"])
    return [f"index {table}.{index['key']}" for index in missing]


def _is_made(column: Any) -> bool:
    return str(getattr(column.status, "value", column.status)) == "available"


def _missing(look: Callable[[], Any]) -> bool:
    try:
        look()
    except Exception as error:
        if refused_as(error, MISSING):
            return True
        raise
    return False
