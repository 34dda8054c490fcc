"""Find the documents that say almost the same; each stays by itself, so that deleting one keeps the others."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from blocks.connections import database
from kowai.duplicates import BANDS, LIKE, Sketch, likeness, signatures, sketched
from kowai.types import Value
from tasks.step import patient_step

BATCH = 256
ALONE = text("select pg_advisory_xact_lock(hashtextextended('duplicates:' || (select current_tenant()), 0))")
# Documents that are new or changed, and those whose leader was deleted or has changed.
BEHIND = """
select d.id, d.version, v.text, s.document_id is not null as sketched from document d
join document_version v on v.document_id = d.id and v.version = d.version
left join document_sketch s on s.document_id = d.id
where (d.version is distinct from s.version or (s.leader_id is null and s.likeness is not null)) {within}
order by d.created_at, d.id limit :limit for key share of d
"""
EVERYWHERE = text(BEHIND.format(within=""))
ENDED_IN = "and d.id = any(array(select document_id from ingestion_item where {items}))"
WITHIN, AMONG = (
    text(BEHIND.format(within=ENDED_IN.format(items=items)))
    for items in ("ingestion_id = :ingestion", "id = any(cast(:items as uuid[]))")
)
LEAVE = text("update document_sketch set leader_id = null where leader_id = any(:ids)")
# The shape of the sub-queries holds the planner to a look-up a band: without statistics it would read all there are.
LEADERS = text("""
select s.document_id, s.text_hash, s.signature from document_sketch s join document d on d.id = s.document_id
where s.leader_id is null and s.likeness is null and s.document_id <> all(:ids) and s.document_id = any(array(
  select held.document_id from unnest(cast(:bands as bigint[])) as asked(band) cross join lateral (
    select document_id from sketch_band where tenant_id = (select current_tenant()) and band = asked.band offset 0
  ) as held))
for key share of d
""")
COLUMNS = ("document_id", "version", "text_hash", "signature", "leader_id", "likeness")
FORGET = text("delete from document_sketch where document_id = any(:ids)")
WRITE = text("""
insert into document_sketch (document_id, tenant_id, version, text_hash, signature, leader_id, likeness)
select document_id, (select current_tenant()), version, text_hash, signature, leader_id, likeness
from unnest(cast(:document_id as uuid[]), cast(:version as integer[]), cast(:text_hash as text[]),
  cast(:signature as bytea[]), cast(:leader_id as uuid[]), cast(:likeness as float[]))
  as new(document_id, version, text_hash, signature, leader_id, likeness)
""")
WRITE_BANDS = text(f"""
insert into sketch_band (tenant_id, band, document_id)
select (select current_tenant()), band, (cast(:ids as uuid[]))[1 + (no - 1) / {BANDS}]
from unnest(cast(:bands as bigint[])) with ordinality as new(band, no)
""")  # noqa: S608 -- a constant
GROUPS = text("""
select d.id, d.external_id, d.title, d.origin, s.likeness, s.text_hash = l.text_hash as same,
       s.leader_id, h.external_id as leader from document_sketch s
join document d on d.id = s.document_id join document h on h.id = s.leader_id
join document_sketch l on l.document_id = s.leader_id order by h.external_id, d.external_id limit :limit
""")


class Duplicate(Value):
    """Name a document that says almost what its leader says; `likeness` is that of their words, `same` all of them."""

    id: UUID
    external_id: str
    title: str | None
    origin: str
    likeness: float
    same: bool
    leader_id: UUID
    leader: str


@patient_step
async def compare_documents(
    tenant_id: UUID, ingestion_id: UUID | None = None, *, items: Sequence[UUID] | None = None
) -> int:
    """Compare what is new, has changed or has lost its leader, of some items, one ingestion or all; return how many.

    What is compared is not compared again.
    """
    within = {"items": items} if items is not None else {"ingestion": ingestion_id} if ingestion_id else {}
    compared = 0
    done = BATCH
    while done == BATCH or (done and items is None):  # who lost its leader just now is none of the items
        compared += (done := await _compare_some(tenant_id, within))
    return compared


async def _compare_some(tenant_id: UUID, within: Mapping[str, Any]) -> int:
    behind_of = AMONG if "items" in within else WITHIN if within else EVERYWHERE
    async with (await database()).transaction(tenant_id) as connection:
        await connection.execute(ALONE)
        behind = (await connection.execute(behind_of, {**within, "limit": BATCH})).all()
        if behind:
            sketches = await asyncio.to_thread(lambda: [sketched(row.text) for row in behind])
            await _compare(connection, behind, sketches)
    return len(behind)


async def _compare(connection: AsyncConnection, behind: Sequence[Any], sketches: Sequence[Sketch]) -> None:
    """Let each follow the leader most like it, or lead from now on."""
    ids = [row.id for row in behind]
    if any(row.sketched for row in behind):
        for statement in (LEAVE, FORGET):
            await connection.execute(statement, {"ids": ids})
    bands = _array(band for sketch in sketches for band in sketch.bands)
    leaders = [tuple(row) for row in await connection.execute(LEADERS, {"ids": ids, "bands": bands})]
    rows: list[tuple[Any, ...]] = []
    for one, sketch in zip(behind, sketches, strict=True):
        leader_id, like = _leader(leaders, sketch)
        rows.append((one.id, one.version, sketch.text_hash, sketch.signature, leader_id, like))
        if leader_id is None:
            leaders.append((one.id, sketch.text_hash, sketch.signature))
    await connection.execute(WRITE, dict(zip(COLUMNS, map(list, zip(*rows, strict=True)), strict=True)))
    await connection.execute(WRITE_BANDS, {"bands": bands, "ids": ids})


def _array(numbers: Iterable[int]) -> str:
    """Write an array as PostgreSQL reads it: the driver would take each of thousands of numbers for itself."""
    return f"{{{','.join(map(str, numbers))}}}"


def _leader(leaders: Sequence[tuple[Any, ...]], sketch: Sketch) -> tuple[UUID | None, float | None]:
    if not leaders:
        return None, None
    likes = likeness(signatures([bytes(signature) for _, _, signature in leaders]), sketch.signature)
    likes[[text_hash == sketch.text_hash for _, text_hash, _ in leaders]] = 1.0
    best = int(np.argmax(likes))
    return (leaders[best][0], float(likes[best])) if likes[best] >= LIKE else (None, None)


async def list_duplicates(tenant_id: UUID, *, limit: int = 1000) -> list[Duplicate]:
    """Return every document that has a leader, those of one leader together."""
    async with (await database()).transaction(tenant_id) as connection:
        return [Duplicate(**row) for row in (await connection.execute(GROUPS, {"limit": limit})).mappings()]
