"""Keep what callers thought of answers, and show it to whoever evaluates them."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects import postgresql
from sqlmodel import col

from blocks.connections import database
from kowai.errors import InvalidInput, NotFound
from kowai.tables.conversations import Feedback
from kowai.tables.queries import AnswerRow, Query

COLUMNS: list[Any] = [
    *(col(Feedback.query_id), col(Feedback.rating), col(Feedback.comment), col(Feedback.created_at)),
    *(col(Query.text).label("question"), col(AnswerRow.text).label("answer"), col(Query.persona)),
    *(col(AnswerRow.model), col(AnswerRow.confidence), col(AnswerRow.abstained)),
]
GIVEN = select(*COLUMNS)


class NotAnswered(InvalidInput):
    code, http_status = "not_answered", 409


async def give_feedback(query_id: UUID, tenant_id: UUID, caller: UUID, rating: str, comment: str | None) -> None:
    """Store a caller's rating of an answer, the last one if there are several. Raises NotFound and NotAnswered."""
    values = {"rating": rating, "comment": comment}
    given = postgresql.insert(Feedback).values(tenant_id=tenant_id, query_id=query_id, given_by=caller, **values)
    status = select(col(Query.status)).where(col(Query.id) == query_id)
    async with (await database()).transaction(tenant_id) as connection:
        found = await connection.scalar(status)
        if found is None:
            raise NotFound("There is no such question.")
        if found != "done":
            raise NotAnswered("This question has no answer yet that could be rated.")
        await connection.execute(given.on_conflict_do_update(index_elements=["query_id", "given_by"], set_=values))


async def list_feedback(tenant_id: UUID, rating: str | None, limit: int) -> list[dict[str, Any]]:
    """Return feedback with the question and the answer it is about, the newest first."""
    joined = GIVEN.join(Query, col(Query.id) == col(Feedback.query_id))
    found = joined.join(AnswerRow, col(AnswerRow.query_id) == col(Query.id)).order_by(col(Feedback.created_at).desc())
    wanted = found.where(col(Feedback.rating) == rating) if rating else found
    async with (await database()).transaction(tenant_id) as connection:
        return [dict(row) for row in (await connection.execute(wanted.limit(limit))).mappings()]
