"""Let a question take part in the experiments that run: its arm's versions answer, and that is written down."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from kowai.experiments import Running, arm_of
from kowai.tables.experiments import Experiment, Exposure
from kowai.types import Question
from kowai.versions import slots_of

NAMES = ("id", "slot", "share", "unit", "control_id", "version_id")


def running_experiments() -> ColumnElement[Any]:
    """Return the tenant's running experiments as JSON, read along with a question: none cost no round trip."""
    pairs = [part for name in NAMES for part in (name, getattr(Experiment, name))]
    listed = select(func.jsonb_agg(func.jsonb_build_object(*pairs)))
    return listed.where(col(Experiment.outcome).is_(None)).scalar_subquery()


async def expose(
    connection: AsyncConnection, question: Question, running: Sequence[Any], asked_by: UUID | None
) -> Question:
    """Return the question with its arms' versions; one without a persona yet takes no part in what is a persona's."""
    taken = [one for one in map(Running.model_validate, running) if one.slot in slots_of(question.persona)]
    versions, rows = dict(question.versions), list[dict[str, Any]]()
    for one in taken:
        unit = (asked_by if one.unit == "caller" else question.conversation_id) or question.id
        arm = arm_of(one.id, str(unit), one.share)
        version = one.version_id if arm == "candidate" else one.control_id
        versions.pop(one.slot, None)
        versions |= {one.slot: version} if version else {}
        row = {"id": uuid4(), "tenant_id": question.tenant_id, "experiment_id": one.id, "query_id": question.id}
        rows.append(row | {"unit": unit, "arm": arm})
    if not rows:
        return question
    await connection.execute(postgresql.insert(Exposure).values(rows).on_conflict_do_nothing())
    return question.model_copy(update={"versions": versions})
