"""Begin, list, read and delete a caller's conversations."""

from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import delete, insert, select, text
from sqlmodel import col

from blocks.connections import database
from kowai import erasure
from kowai.errors import NotFound
from kowai.tables.conversations import Conversation
from kowai.tables.queries import Query
from tasks.forget import drop_exports

ABOUT = (col(Conversation.id), col(Conversation.title), col(Conversation.turns), col(Conversation.created_at))


async def begin_conversation(tenant_id: UUID, caller: UUID, title: str | None = None) -> UUID:
    conversation_id = uuid4()
    row = {"id": conversation_id, "tenant_id": tenant_id, "created_by": caller, "title": title}
    async with (await database()).transaction(tenant_id) as connection:
        await connection.execute(insert(Conversation).values(**row))
    return conversation_id


async def list_conversations(tenant_id: UUID, caller: UUID, limit: int) -> list[dict[str, Any]]:
    """Return the caller's conversations, the newest first."""
    mine = select(*ABOUT).where(col(Conversation.created_by) == caller)
    async with (await database()).transaction(tenant_id) as connection:
        found = await connection.execute(mine.order_by(col(Conversation.created_at).desc()).limit(limit))
    return [dict(row) for row in found.mappings()]


async def read_conversation(conversation_id: UUID, tenant_id: UUID, caller: UUID) -> dict[str, Any]:
    """Return one conversation with the ids of its turns, in order, as `queries`. Raises NotFound."""
    mine = (col(Conversation.id) == conversation_id, col(Conversation.created_by) == caller)
    turns = select(col(Query.id)).where(col(Query.conversation_id) == conversation_id).order_by(col(Query.turn))
    async with (await database()).transaction(tenant_id) as connection:
        row = (
            (await connection.execute(select(*ABOUT, col(Conversation.summary)).where(*mine))).mappings().one_or_none()
        )
        if row is None:
            raise NotFound("There is no such conversation.")
        return {**row, "queries": (await connection.scalars(turns)).all()}


async def delete_conversation(conversation_id: UUID, tenant_id: UUID, caller: UUID) -> None:
    """Delete a conversation with its questions, answers, feedback and what models said for it. Raises NotFound.

    The exports that hold it follow by the outbox; one that is being made is not kept.
    """
    mine = (col(Conversation.id) == conversation_id, col(Conversation.created_by) == caller)
    async with (await database()).transaction(tenant_id) as connection:
        await connection.execute(text(erasure.HOLD))
        for statement in (text(erasure.TOLD_REPLIES), text(erasure.TOLD_EVENTS)):
            await connection.execute(statement, {"conversation": conversation_id, "caller": caller})
        if not (await connection.execute(delete(Conversation).where(*mine))).rowcount:
            raise NotFound("There is no such conversation.")
        await connection.execute(text(erasure.TOLD_DELETED), {"conversation": conversation_id})
        await drop_exports(connection, tenant_id)
