"""Questions, answers and insights as apps built on Appwrite see them: rows of TablesDB that follow ours, by outbox.

Triggers write an entry for each change of a mirrored tenant, in its transaction; what is told is the state by then, so
that entries may be told late, twice and in any order.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from blocks import appwrite_rows
from blocks.appwrite import Appwrite
from blocks.appwrite_calls import AppwriteRefused
from blocks.appwrite_rows import MirroredGroup, MirroredRow
from blocks.connections import appwrite, database
from tasks import outbox
from tasks.insights import read_insights

if TYPE_CHECKING:
    from appwrite.client import Client

KIND = "mirror"
TABLES = ("questions", "answers", "insights")
AT_ONCE = 100

SWITCH = text(
    "update tenant set mirrored = name = any(:names) where mirrored <> (name = any(:names)) returning id, mirrored"
)
ALL = text(
    "insert into outbox (id, tenant_id, kind, payload, attempts)"
    " select gen_random_uuid(), tenant_id, 'mirror', jsonb_build_object('query', id), 0 from query"
)
ALONE = text("select pg_try_advisory_xact_lock(hashtextextended('mirror ' || cast(:tenant as text), 0))")
NAME = text("select name from tenant where id = :tenant")
STATE = text(
    "select q.id, q.text as question, q.persona, q.status, q.refusal, q.sentence, q.asked_by::text,"
    " q.conversation_id::text as conversation, q.created_at as asked_at, q.finished_at, a.query_id as answered,"
    " a.text as answer, a.citations::text, a.confidence, a.abstained, a.model"
    " from query q left join answer a on a.query_id = q.id where q.id = any(:ids)"
)
QUESTION = ("question", "persona", "status", "refusal", "sentence", "asked_by", "conversation")
TIMES = ("asked_at", "finished_at")
ANSWER = ("answer", "citations", "confidence", "abstained", "model")


async def mirror() -> int:
    """Bring Appwrite's tables up to date and return how many questions were told; nothing without such a database."""
    block = await appwrite()
    if block is None or not block.database:
        await switch([])
        return 0
    await switch(sorted(set(block.teams.values())))
    told = 0
    for tenant_id in dict.fromkeys(tenant for _, tenant in await outbox.due(KIND, limit=1)):
        told += await mirror_tenant(block, tenant_id)
    return told


async def switch(names: Sequence[str]) -> None:
    """Mirror the tenants of these names from now on, all that they have asked before too, and no others."""
    store = await database()
    async with store.platform_transaction() as connection:
        changed = (await connection.execute(SWITCH, {"names": list(names)})).all()
    for tenant_id, mirrored in changed:
        if mirrored:
            async with store.transaction(tenant_id, even_suspended=True) as connection:
                await connection.execute(ALL)


async def mirror_tenant(block: Appwrite, tenant_id: UUID) -> int:
    """Tell a tenant's changes, unless another process does; what Appwrite refuses is put off and holds up no other."""
    entries = [entry for entry, tenant in await outbox.due(KIND, limit=AT_ONCE) if tenant == tenant_id]
    told = 0
    async with outbox.delivery(entries, tenant_id) as held:
        if not await held.connection.scalar(ALONE, {"tenant": tenant_id}):
            return 0
        changed = {UUID(payload["query"]) for payload in held.payloads.values()}
        teams = block.teams_of(await held.connection.scalar(NAME, {"tenant": tenant_id}) or "")
        insights = await read_insights(held.connection, changed, tenant_id)
        for query_id, rows in (await _rows(held.connection, changed, tenant_id)).items():
            found = MirroredGroup("insights", str(query_id), insights[query_id])
            with suppress(AppwriteRefused):
                await block.call(partial(_bring, database=block.database, rows=rows, found=found, teams=teams))
                held.delivered.update(_entries_of(query_id, held))
                told += 1
    return told


def _bring(
    client: "Client", *, database: str, rows: Sequence[MirroredRow], found: MirroredGroup, teams: Sequence[str]
) -> None:
    appwrite_rows.bring(client, database, rows, teams)
    appwrite_rows.bring_group(client, database, found, teams)


def _entries_of(query_id: UUID, held: outbox.Held) -> list[UUID]:
    return [entry for entry, payload in held.payloads.items() if payload["query"] == str(query_id)]


async def erase_mirror(tenant_id: UUID) -> None:
    """Delete an erased tenant's rows. Raises AppwriteUnavailable."""
    block = await appwrite()
    if block is not None and block.database:
        for table in TABLES:
            await block.call(
                lambda client, table=table: appwrite_rows.empty(client, block.database, table, str(tenant_id))
            )


async def _rows(connection: AsyncConnection, ids: Collection[UUID], tenant_id: UUID) -> dict[UUID, list[MirroredRow]]:
    """Return what each question's rows are to be; those of one that is gone are to be gone."""
    found = {row["id"]: row for row in (await connection.execute(STATE, {"ids": list(ids)})).mappings()}
    return {query_id: _told(query_id, found.get(query_id), tenant_id) for query_id in ids}


def _told(query_id: UUID, row: RowMapping | None, tenant_id: UUID) -> list[MirroredRow]:
    question = answer = None
    if row is not None:
        times = {name: row[name] and row[name].isoformat() for name in TIMES}
        question = _data(row, QUESTION, tenant_id) | times
        answer = _data(row, ANSWER, tenant_id) if row["answered"] else None
    return [MirroredRow("questions", str(query_id), question), MirroredRow("answers", str(query_id), answer)]


def _data(row: RowMapping, columns: Sequence[str], tenant_id: UUID) -> dict[str, Any]:
    return {"tenant": str(tenant_id)} | {name: row[name] for name in columns}
