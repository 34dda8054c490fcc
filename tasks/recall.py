"""Give a turn the conversation before it: its latest turns word for word, what is older as a summary."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from blocks.connections import database, language_model
from kowai.conversations import Exchange, Memory, gist, memory_of, transcript
from kowai.errors import KowaiError
from kowai.signatures import SummariseConversation
from kowai.tables.conversations import Conversation
from kowai.tables.queries import AnswerRow, Query
from kowai.types import Question, Turn
from tasks import metered
from tasks.step import step

COLUMNS: list[Any] = [col(Query.turn), col(Query.text), col(AnswerRow.text)]
TOLD = select(*COLUMNS).outerjoin(AnswerRow, col(AnswerRow.query_id) == col(Query.id))


@step
async def recall(question: Question) -> Question:
    """Store with the question what is remembered of its conversation; what no longer fits is summarised once."""
    async with (await database()).transaction(question.tenant_id) as connection:
        summary, memory = await _read(connection, question)
    if memory.older:
        summary = await _summary(summary, memory.older, question)
    told = (Turn(role="summary", text=summary),) if summary else ()
    history = (*told, *(turn for exchange in memory.recent for turn in exchange.turns()))
    async with (await database()).transaction(question.tenant_id, durable=False) as connection:
        await _write(connection, question, summary, memory, history)
    return question.model_copy(update={"history": history})


async def _read(connection: AsyncConnection, question: Question) -> tuple[str, Memory]:
    found = select(col(Conversation.summary), col(Conversation.summarised))
    row = (await connection.execute(found.where(col(Conversation.id) == question.conversation_id))).one()
    # What a guard refused must not come back as history.
    before = (
        col(Query.conversation_id) == question.conversation_id,
        col(Query.turn) < question.turn,
        col(Query.status) == "done",
    )
    told = TOLD.where(*before, col(Query.turn) > row.summarised).order_by(col(Query.turn))
    exchanges = [Exchange(*row) for row in (await connection.execute(told)).all()]
    return row.summary, memory_of(exchanges)


async def _write(
    connection: AsyncConnection, question: Question, summary: str, memory: Memory, history: Sequence[Turn]
) -> None:
    told = [turn.model_dump() for turn in history]
    await connection.execute(update(Query).where(col(Query.id) == question.id).values(history=told))
    if memory.older:
        kept: dict[str, Any] = {"summary": summary, "summarised": memory.older[-1].turn}
        mine = col(Conversation.id) == question.conversation_id
        await connection.execute(update(Conversation).where(mine).values(**kept))


async def _summary(summary: str, older: Sequence[Exchange], question: Question) -> str:
    """Let a model add the turns to the summary; without one, or when it fails, take their first sentences."""
    if not (await language_model()).targets:
        return gist(summary, older)
    said = transcript([turn for exchange in older for turn in exchange.turns()])
    inputs = {"summary": summary, "conversation": said}
    try:
        reply = await metered.ask(SummariseConversation, inputs, question.tenant_id, query_id=question.id, role="fast")
    except KowaiError:
        return gist(summary, older)
    return str(reply.fields["shorter"]).strip() or gist(summary, older)
