"""Put a follow-up or a long question in words that can be searched for."""

from sqlalchemy import update
from sqlmodel import col

from blocks.connections import database, language_model
from kowai.conversations import standalone, transcript
from kowai.errors import KowaiError
from kowai.questions import LONGEST
from kowai.signatures import StandaloneQuestion
from kowai.tables.queries import Query
from kowai.types import Question, Reply
from tasks import metered
from tasks.step import step


@step
async def rephrase(question: Question) -> Question:
    """Store beside the question as it was asked the one that stands alone, a model's or the carried turns'."""
    reply = await _asked_of_model(question)
    worded = str(reply.fields["question"]).strip()[:LONGEST] if reply else ""
    text = worded or standalone(question.text, question.history)
    async with (await database()).transaction(question.tenant_id, durable=False) as connection:
        await connection.execute(update(Query).where(col(Query.id) == question.id).values(standalone=text))
    calls = (*question.calls, reply.call_id) if reply and reply.call_id else question.calls
    return question.model_copy(update={"standalone": text, "calls": calls})


async def _asked_of_model(question: Question) -> Reply | None:
    """Return the model's wording; None without a model or a readable reply, which is no reason not to answer."""
    if not (await language_model()).targets:
        return None
    inputs = {"conversation": transcript(question.history), "message": question.text}
    try:
        return await metered.ask(StandaloneQuestion, inputs, question.tenant_id, query_id=question.id, role="fast")
    except KowaiError:
        return None
