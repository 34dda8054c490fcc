"""How a question or an ingestion really ended, whatever was said about the process that carried it out."""

from datetime import datetime
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import func, literal, union_all
from sqlmodel import col, select

from blocks.connections import database
from kowai.tables.ingestion import Ingestion
from kowai.tables.queries import Query


class Ending(NamedTuple):
    """Say how it ended, in the words of a query's status, and when."""

    status: str
    ended_at: datetime


async def find_ending(subject_id: UUID, tenant_id: UUID) -> Ending | None:
    """Return how a question or an ingestion ended; None while it is open."""
    question = select(col(Query.status), func.coalesce(col(Query.finished_at), col(Query.created_at))).where(
        col(Query.id) == subject_id, col(Query.status).notin_(("queued", "running"))
    )
    ingestion = select(literal("done"), col(Ingestion.finished_at)).where(
        col(Ingestion.id) == subject_id, col(Ingestion.finished_at).is_not(None)
    )
    async with (await database()).transaction(tenant_id) as connection:
        ended = cast("Any", union_all(question, ingestion))
        row = (await connection.execute(ended)).one_or_none()
    return Ending(*row) if row else None
