"""What was found out about questions: their topic, gaps in the documents, ratings, and what guards saw."""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

FOUND = text("""
select about, kind, value, detail, confidence, found_by::text, found_at, key,
  q.conversation_id::text as conversation, q.standalone as subject
from query q join (
  select id, 'topic', persona, routed_by, routing_confidence, null::uuid, coalesce(started_at, created_at), ''
  from query where id = any(:ids) and routed_by is not null
  union all
  select query_id, 'gap', null, note, confidence, null, created_at, '' from answer
  where query_id = any(:ids) and abstained
  union all
  select query_id, 'rating', rating, comment, null, given_by, created_at, id::text from feedback
  where query_id = any(:ids)
  union all
  select subject, 'guard', payload ->> 'guard', payload::text, (payload ->> 'score')::float, null, created_at,
    sequence::text
  from event where subject = any(:ids) and kind = 'guard.finding'
) found (about, kind, value, detail, confidence, found_by, found_at, key) on q.id = found.about
""")
COLUMNS = ("kind", "value", "detail", "confidence", "found_by", "conversation", "subject")


async def read_insights(
    connection: AsyncConnection, ids: Collection[UUID], tenant_id: UUID
) -> Mapping[UUID, dict[str, dict[str, Any]]]:
    """Return what is known of each question by ids of its own, the same whenever it is read.

    Kinds: `topic` (the persona that was chosen for it), `gap` (the documents do not hold the answer), `rating` (`up` or
    `down`, with a comment) and `guard` (which one saw something, its kinds and counts). A confidence is from 0 to 1.
    """
    found: dict[UUID, dict[str, dict[str, Any]]] = {each: {} for each in ids}
    for row in (await connection.execute(FOUND, {"ids": list(ids)})).mappings():
        known = {"tenant": str(tenant_id), "about": str(row["about"]), "found_at": row["found_at"].isoformat()}
        own_id = uuid5(row["about"], f"{row['kind']} {row['key']}")
        found[row["about"]][str(own_id)] = known | {name: row[name] for name in COLUMNS}
    return found
