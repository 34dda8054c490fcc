"""A compiled statement does what SQLAlchemy would do with it, in the transaction it is run in."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import ARRAY, Uuid, any_, bindparam, select, text
from sqlalchemy.dialects import postgresql
from sqlmodel import col

from blocks.compiled import Compiled
from blocks.database import Database
from kowai.tables.ledger import Outbox

COLUMNS = ("id", "tenant_id", "kind", "payload", "attempts", "due_at", "delivered_at")
PUT = Compiled(postgresql.insert(Outbox).on_conflict_do_nothing(index_elements=["id"]), *COLUMNS)
FOUND = Compiled(
    select(col(Outbox.kind), col(Outbox.payload), col(Outbox.due_at)).where(
        col(Outbox.id) == any_(bindparam("ids", type_=ARRAY(Uuid())))
    )
)
PLANTED = "carmen planted"


def entry(tenant: UUID, payload: object) -> dict[str, object]:
    moment = datetime.now(UTC) + timedelta(days=1)
    known = {"id": uuid4(), "tenant_id": tenant, "kind": "test", "attempts": 0, "due_at": moment, "delivered_at": None}
    return known | {"payload": payload}


async def test_rows_are_written_with_their_types_and_read_as_attributes(store: Database, tenant: UUID) -> None:
    written = entry(tenant, {"a": [1, None, "%s :b"]})
    async with store.transaction(tenant) as connection:
        assert await PUT.run(connection, written) == 1
        assert await PUT.run(connection, written) == 0
    async with store.transaction(tenant) as connection:
        (found,) = await FOUND.rows(connection, {"ids": [written["id"]]})
    assert (found.kind, found.payload, found.due_at) == ("test", written["payload"], written["due_at"])


async def test_it_sees_its_own_tenant_alone(store: Database, tenant: UUID, other_tenant: UUID) -> None:
    written = entry(tenant, {})
    async with store.transaction(tenant) as connection:
        await PUT.run(connection, written)
    async with store.transaction(other_tenant) as connection:
        assert await FOUND.row(connection, {"ids": [written["id"]]}) is None


async def test_what_it_did_is_undone_with_its_transaction(store: Database, tenant: UUID) -> None:
    written = entry(tenant, {})

    async def work() -> None:
        async with store.transaction(tenant) as connection:
            await PUT.run(connection, written)
            raise LookupError

    with pytest.raises(LookupError):
        await work()
    async with store.transaction(tenant) as connection:
        assert await FOUND.row(connection, {"ids": [written["id"]]}) is None


async def test_an_error_shows_no_value(store: Database, tenant: UUID) -> None:
    number = Compiled(text("select cast(:planted as text)::int"))

    async def work() -> None:
        async with store.transaction(tenant) as connection:
            await number.row(connection, {"planted": PLANTED})

    with pytest.raises(psycopg.Error, match="22P02") as failed:
        await work()
    assert PLANTED not in f"{failed.value} {failed.value!r}"
