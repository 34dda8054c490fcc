"""Sets of questions: stored once, asked as often as somebody wants."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy
from sqlalchemy import func
from sqlalchemy.dialects import postgresql
from sqlmodel import col, select

from blocks.connections import database
from kowai import question_sets
from kowai.errors import NotFound
from kowai.tables.batches import QuestionSet, SetQuestion
from tasks.step import step

AT_ONCE = 5_000


@step
async def receive_question_set(
    name: str, questions: Sequence[question_sets.SetQuestion], tenant_id: UUID, set_id: UUID | None = None
) -> UUID:
    """Store a set and return its id; with the same `set_id` it is stored once."""
    set_id = set_id or uuid4()
    about: dict[str, Any] = {"tenant_id": tenant_id, "question_set_id": set_id}
    rows = [about | {"ordinal": n, "key": one.key, "text": one.text} for n, one in enumerate(questions)]
    found = postgresql.insert(QuestionSet).values(id=set_id, tenant_id=tenant_id, name=name[:200])
    async with (await database()).transaction(tenant_id) as connection:
        await connection.execute(found.on_conflict_do_nothing())
        for start in range(0, len(rows), AT_ONCE):
            await connection.execute(
                postgresql.insert(SetQuestion).on_conflict_do_nothing(), rows[start : start + AT_ONCE]
            )
    return set_id


@step
async def find_question_set(name: str, tenant_id: UUID) -> UUID:
    """Return the id of the set with that id, or else of the newest one of that name. Raises NotFound."""
    newest = select(col(QuestionSet.id)).order_by(col(QuestionSet.created_at).desc()).limit(1)
    async with (await database()).transaction(tenant_id) as connection:
        set_id = await connection.scalar(newest.where(_named(name)))
    if set_id is None:
        raise NotFound(f"There is no question set '{name}'.")
    return set_id


async def list_question_sets(tenant_id: UUID, *, limit: int = 1000) -> list[dict[str, Any]]:
    """Return the tenant's sets, newest first, each with how many questions it holds."""
    counted = select(func.count()).where(col(SetQuestion.question_set_id) == col(QuestionSet.id)).scalar_subquery()
    columns = (col(QuestionSet.id), col(QuestionSet.name), col(QuestionSet.created_at), counted.label("questions"))
    newest = sqlalchemy.select(*columns).order_by(col(QuestionSet.created_at).desc()).limit(limit)
    async with (await database()).transaction(tenant_id) as connection:
        return [dict(row) for row in (await connection.execute(newest)).mappings()]


def _named(name: str) -> Any:
    try:
        return col(QuestionSet.id) == UUID(name)
    except ValueError:
        return col(QuestionSet.name) == name
