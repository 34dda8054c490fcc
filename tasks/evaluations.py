"""Evaluations: begin one, with an item for each case and persona; what cannot be measured is refused beforehand."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col, select

from blocks.connections import database, language_model
from kowai.errors import KowaiError
from kowai.personas import askable
from kowai.suites import Case, Limits, is_named
from kowai.tables.batches import Batch
from kowai.tables.evaluations import Evaluation
from kowai.tables.knowledge import Document
from tasks.batches import MOST_ITEMS, TooManyItems, checked_personas
from tasks.judge import JUDGE
from tasks.outbox import Along
from tasks.step import own_run, step
from tasks.suites import about_suite
from tasks.versions import live_versions, slot_of

DEFAULT_PERSONA = "assistant"

ACCEPT = text("""
insert into batch_item (id, tenant_id, batch_id, question_id, ordinal, persona, state, attempts)
select gen_random_uuid(), q.tenant_id, b.id, q.id, q.ordinal, p.persona, 'queued', 0
from batch b join set_question q on q.question_set_id = b.question_set_id
join suite_case c on c.suite_id = b.question_set_id and c.key = q.key
cross join lateral (
  select distinct case when :own then coalesce(c.content ->> 'persona', named.persona) else named.persona end as persona
  from jsonb_array_elements_text(b.personas) as named(persona)
) as p
where b.id = :batch and (not :held_out or left(md5(c.key), 1) >= '8' collate "C")
""")
COUNT = text("update batch set accepted = (select count(*) from batch_item where batch_id = :batch) where id = :batch")
WANTED = text("""
select i.id, c.content from batch_item i join set_question q on q.id = i.question_id
join suite_case c on c.suite_id = q.question_set_id and c.key = q.key
where i.batch_id = :batch and (c.content -> 'documents') <> '{}'::jsonb
""")
REFUSE = text("""
update batch_item i set state = 'refused', cause = 'missing_document', sentence = missing.sentence
from jsonb_to_recordset(cast(:missing as jsonb)) as missing(id uuid, sentence text) where i.id = missing.id
""")
UNKNOWN = text("""
update batch_item set state = 'refused', cause = 'unknown_persona', sentence = 'There is no persona of that name.'
where batch_id = :batch and persona <> all(:known)
""")
# Who answers a case of its own choice was not named for all of them.
TRIALS = text("""
select e.suite_id, e.judged, b.personas, b.limits, b.pins,
  exists (select from batch_item i where i.batch_id = b.id and not b.personas ? i.persona) as own
from evaluation e join batch b on b.id = e.id where e.id = any(:ids) order by e.id
""")
BURY = text("""
update batch_item set state = 'dead', cause = :cause, sentence = :sentence where id = :id and state = 'running'
""")


class Trial(NamedTuple):
    """Say what is to be evaluated. `limits` replace the suite's own; `judged` asks a model too, if there is one.

    `personas` answer every case; without any, each case's own does, or the suite's. The `versions` answer in place of
    those that are live; `pins` name the versions of all slots instead. `held_out` leaves out the half of the cases that
    optimisers learn from.
    """

    suite_id: UUID
    personas: Sequence[str] = ()
    judged: bool = True
    limits: Limits | None = None
    versions: Sequence[UUID] = ()
    pins: Mapping[str, str] | None = None
    held_out: bool = False


@step
async def receive_evaluation(
    trial: Trial, tenant_id: UUID, evaluation_id: UUID | None = None, *, along: Along | None = None
) -> UUID:
    """Store an evaluation with its items and return its id; the same `evaluation_id` is stored once.

    Cases whose relevant documents are not there are refused. Raises NotFound, UnknownPersona and TooManyItems.
    """
    evaluation_id = evaluation_id or uuid4()
    judged = trial.judged and (await language_model()).has_role(JUDGE)
    about = {"id": evaluation_id, "tenant_id": tenant_id}
    async with (await database()).transaction(tenant_id) as connection:
        suite = await about_suite(connection, trial.suite_id)
        chosen = checked_personas(trial.personas or [suite.persona or DEFAULT_PERSONA], askable())
        limits = (trial.limits or suite.limits).model_dump(mode="json")
        batch = {"question_set_id": trial.suite_id, "personas": chosen, "status": "running", "limits": limits}
        live = await live_versions(connection)
        pins = await versions_of(connection, trial, live)
        batch |= {"pins": {slot: str(version) for slot, version in pins.items()}, "dry_run": False}
        stored = postgresql.insert(Batch).values(**about, **batch).on_conflict_do_nothing()
        if await connection.scalar(stored.returning(col(Batch.id))) is None:
            return evaluation_id
        held = {"suite_id": trial.suite_id, "judged": judged, "flow_run_id": own_run()}
        held |= {"candidate": pins != live}
        await connection.execute(postgresql.insert(Evaluation).values(**about, **held))
        asked = {"batch": evaluation_id, "own": not trial.personas, "held_out": trial.held_out}
        accepted = (await connection.execute(ACCEPT, asked)).rowcount
        if accepted > MOST_ITEMS:
            raise TooManyItems(f"{accepted:,} cases and personas are more than {MOST_ITEMS:,}: split the suite.")
        await connection.execute(COUNT, {"batch": evaluation_id})
        await _refuse_unmeasurable(connection, evaluation_id)
        if along is not None:
            await along(connection, evaluation_id)
    return evaluation_id


@step
async def read_trials(evaluation_ids: Sequence[UUID], tenant_id: UUID) -> list[Trial]:
    """Return what stored evaluations evaluate, with the versions that were live when they were stored."""
    async with (await database()).transaction(tenant_id) as connection:
        rows = (await connection.execute(TRIALS, {"ids": list(evaluation_ids)})).all()
    return [_trial(row) for row in rows]


def _trial(row: Any) -> Trial:
    limits = Limits.model_validate(row.limits)
    return Trial(row.suite_id, () if row.own else row.personas, row.judged, limits, pins=row.pins)


async def versions_of(connection: AsyncConnection, trial: Trial, live: Mapping[str, UUID]) -> dict[str, UUID]:
    """Return the version of each slot that answers in this trial. Raises NotFound."""
    if trial.pins is not None:
        return {slot: UUID(version) for slot, version in trial.pins.items()}
    return {**live, **{await slot_of(connection, version): version for version in trial.versions}}


async def _refuse_unmeasurable(connection: AsyncConnection, evaluation_id: UUID) -> None:
    await connection.execute(UNKNOWN, {"batch": evaluation_id, "known": askable()})
    wanted = (await connection.execute(WANTED, {"batch": evaluation_id})).all()
    if not wanted:
        return
    held = set((await connection.scalars(select(col(Document.external_id)))).all())
    known = {part: external_id for external_id in held for part in (external_id, external_id.rpartition("/")[2])}
    missing = [refusal for row in wanted if (refusal := _missing(row.id, Case.model_validate(row.content), known))]
    await connection.execute(REFUSE, {"missing": json.dumps(missing)})


def _missing(item_id: UUID, case: Case, known: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the item's refusal; `known` finds ids by themselves and by their last part."""
    found = {name: known.get(name) or known.get(name.rpartition("/")[2], "") for name in case.documents}
    absent = [name for name, grade in case.documents.items() if grade and not is_named(found[name], name)]
    if not absent:
        return None
    sentence = f"The case {case.id} needs the document {absent[0]}, which is not there: ingest it."
    return {"id": str(item_id), "sentence": sentence}


@step
async def bury_item(item_id: UUID, tenant_id: UUID, error: Exception) -> None:
    """End an item that could not be measured: it is dead, and no score."""
    known = error if isinstance(error, KowaiError) else KowaiError("Measuring this answer failed on our side.")
    values = {"id": item_id, "cause": known.code[:50], "sentence": known.sentence}
    async with (await database()).transaction(tenant_id) as connection:
        await connection.execute(BURY, values)
