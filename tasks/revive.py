"""Give dead letters another chance."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import text

from blocks.connections import database
from blocks.sources import kinds
from tasks import event_log
from tasks.outbox import Along
from tasks.step import patient_step

REVIVED_LETTERS = "dead_letters.revived"

# What an archive hid that was uploaded and unpacked cannot be had again: its letter stays.
CHOSEN = """state = 'dead' and (:every or id = any(:ids) or cause = any(:causes))
and (details ?| :places or not exists (
  select from ingestion i where i.id = ingestion_id and i.sources @> '[{"unpacked": true}]'))"""
# What never had bytes of its own, such as a folder that was missing, is found again by walking its source.
WALKED_AGAIN = f"""
with gone as (
  delete from ingestion_item where {CHOSEN} and not details ?| :places returning ingestion_id
)
update ingestion set walks = 'null' where id in (select ingestion_id from gone) returning id
"""  # noqa: S608
REVIVED = f"""
update ingestion_item set state = 'queued', cause = null, sentence = null, claimed_at = null
where {CHOSEN} returning ingestion_id
"""  # noqa: S608

# A document that is well now needs no letter from before, and one that died again needs only its newest.
SETTLED = """
update ingestion_item old set state = 'unchanged', cause = null, sentence = null, document_id = new.document_id
from ingestion_item new where new.ingestion_id = :ingestion and new.state in ('indexed', 'unchanged')
  and old.external_id = new.external_id and old.state = 'dead' and old.id <> new.id
"""
REPEATED = """
delete from ingestion_item old using ingestion_item new where new.ingestion_id = :ingestion and new.state = 'dead'
  and old.external_id = new.external_id and old.state = 'dead' and old.id <> new.id and old.created_at < new.created_at
"""


class Revival(NamedTuple):
    """Name the ingestions that have work now."""

    id: UUID
    ingestion_ids: list[UUID]


@patient_step
async def revive(
    tenant_id: UUID,
    *,
    ids: Sequence[UUID] = (),
    causes: Sequence[str] = (),
    every: bool = False,
    along: Along | None = None,
) -> Revival:
    """Queue the dead letters of these ids or causes again, and tell which ingestions have work now."""
    revival_id = uuid4()
    chosen = {"ids": list(ids), "causes": list(causes), "every": every}
    places = ["original", *(kind.place for kind in kinds().values())]
    async with (await database()).transaction(tenant_id) as connection:
        walked = list(await connection.scalars(text(WALKED_AGAIN), chosen | {"places": places}))
        revived = list(await connection.scalars(text(REVIVED), chosen | {"places": places}))
        revival = Revival(revival_id, sorted({*walked, *revived}))
        told = {"ingestion_ids": [str(each) for each in revival.ingestion_ids]}
        await event_log.append(connection, revival_id, tenant_id, REVIVED_LETTERS, told)
        if along is not None:
            await along(connection, revival_id)
    return revival


async def find_revival(revival_id: UUID, tenant_id: UUID) -> Revival:
    """Return what an earlier revival brought about."""
    facts = await event_log.read_facts(revival_id, tenant_id)
    return Revival(revival_id, [UUID(each) for fact in facts for each in fact.payload["ingestion_ids"]])


@patient_step
async def settle_letters(ingestion_id: UUID, tenant_id: UUID) -> None:
    """Close older dead letters of documents that this ingestion has dealt with."""
    async with (await database()).transaction(tenant_id) as connection:
        for statement in (SETTLED, REPEATED):
            await connection.execute(text(statement), {"ingestion": ingestion_id})
