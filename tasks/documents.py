"""What is held: documents, where everything accepted stands, and which answers cite a document."""
# ruff: noqa: S608 -- only column names are put into the text

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from blocks.connections import database
from kowai.errors import NotFound
from kowai.ledger import SUMS, Counts
from kowai.remedies import remedy
from kowai.types import Value

COLUMNS = (
    "d.id, d.external_id, d.title, d.media_type, d.origin, d.version, d.details as metadata, d.created_at, "
    "d.updated_at, d.vanished_at"
)
CONDITIONS = {
    "search": "(d.external_id ilike '%' || :search || '%' or d.title ilike '%' || :search || '%')",
    "media_type": "d.media_type = :media_type",
    "source_id": "d.external_id in (select external_id from ingestion_item where source_id = :source_id)",
    "after": "d.external_id > :after",
}
ANSWERS = """
select a.query_id, a.created_at, q.text as question, q.persona, a.model,
       a.citations @> jsonb_build_array(jsonb_build_object('document_id', cast(:document as text))) as cited
from answer a join query q on q.id = a.query_id where a.quoted ? cast(:document as text)
order by a.created_at desc limit :limit
"""
DEAD = """
select id, ingestion_id, uri, state, cause, sentence, attempts, created_at from ingestion_item
where state in ('dead', 'quarantined') and (:cause = '' or cause = :cause) order by created_at, id limit :limit
"""
SOURCES = f"""
select source_id, uri, counts.* from (select source_id, {SUMS} from ledger group by source_id) as counts
left join source on source.id = source_id order by uri nulls first
"""


class HeldDocument(Value):
    """Describe a document in its current version; its chunks are what a search can find.

    `vanished_at` says since when its source does not hold it any more, where the source wants that marked.
    """

    id: UUID
    external_id: str
    title: str | None
    media_type: str
    origin: str
    version: int
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    vanished_at: datetime | None


class Account(Value):
    """Account for everything accepted from one source; without one: what was uploaded or sent."""

    source_id: UUID | None = None
    uri: str | None = None
    accepted: int
    indexed: int
    unchanged: int
    quarantined: int
    dead: int
    in_progress: int


class DeadLetter(Value):
    """Say what became of a document that could not be indexed, and what can be done about it."""

    id: UUID
    ingestion_id: UUID
    uri: str
    state: str
    cause: str
    sentence: str | None
    attempts: int
    created_at: datetime
    fix: str


class CitingAnswer(Value):
    """Name an answer that was made from a document; one that was given it and did not use it has not cited it."""

    query_id: UUID
    created_at: datetime
    question: str
    persona: str
    model: str
    cited: bool


async def list_documents(tenant_id: UUID, *, limit: int = 100, **wanted: Any) -> list[HeldDocument]:
    """Return documents by name; `wanted` may hold search, media_type, source_id and after, the last name seen."""
    chosen = {name: value for name, value in wanted.items() if value is not None}
    holds = " and ".join(["d.version > 0", *(CONDITIONS[name] for name in chosen)])
    sql = f"select {COLUMNS} from document d where {holds} order by d.external_id limit :limit"
    async with (await database()).transaction(tenant_id) as connection:
        return [HeldDocument(**row) for row in await _rows(connection, sql, limit=limit, **chosen)]


async def read_document(document_id: UUID, tenant_id: UUID) -> HeldDocument:
    """Return one document. Raises NotFound."""
    sql = f"select {COLUMNS} from document d where d.id = :document"
    async with (await database()).transaction(tenant_id) as connection:
        rows = await _rows(connection, sql, document=document_id)
    if not rows:
        raise NotFound("There is no such document.")
    return HeldDocument(**rows[0])


async def list_answers(document_id: UUID, tenant_id: UUID, *, limit: int = 1000) -> list[CitingAnswer]:
    """Return the answers that were made from a document, the newest first."""
    async with (await database()).transaction(tenant_id) as connection:
        rows = await _rows(connection, ANSWERS, document=str(document_id), limit=limit)
    return [CitingAnswer(**row) for row in rows]


async def list_dead_letters(tenant_id: UUID, *, cause: str = "", limit: int = 1000) -> list[DeadLetter]:
    """Return dead letters, the oldest first, each with what to do about it."""
    async with (await database()).transaction(tenant_id) as connection:
        rows = await _rows(connection, DEAD, cause=cause, limit=limit)
    return [DeadLetter(**row, fix=remedy(row["cause"])) for row in rows]


async def read_accounts(tenant_id: UUID) -> tuple[Account, list[Account]]:
    """Return the ledger in total and for each source, counted at one moment."""
    async with (await database()).transaction(tenant_id) as connection:
        accounts = [Account(**row) for row in await _rows(connection, SOURCES)]
    total: dict[str, Any] = {name: sum(getattr(account, name) for account in accounts) for name in Counts._fields}
    return Account(**total), accounts


async def _rows(connection: AsyncConnection, sql: str, **values: Any) -> list[dict[str, Any]]:
    return [dict(row) for row in (await connection.execute(text(sql), values)).mappings()]
