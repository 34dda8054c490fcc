"""Answer one question from the tenant's documents."""

from uuid import UUID

from prefect import flow

from kowai.conversations import needs_rephrasing
from kowai.personas import AUTO
from tasks.admit import admit
from tasks.conversation_turns import kept_turn
from tasks.generate import generate
from tasks.recall import recall
from tasks.record import record_answer, record_failure, record_refusal
from tasks.rephrase import rephrase
from tasks.retrieve import retrieve
from tasks.route import route


@flow(name="answer-query", persist_result=False)
async def answer_query(query_id: UUID, tenant_id: UUID) -> None:
    """Answer a stored question: admit it in its turn, understand it, retrieve, generate, record."""
    try:
        async with kept_turn(query_id, tenant_id):
            verdict, question = await admit(query_id, tenant_id)
            if not verdict.allowed:
                return await record_refusal(query_id, tenant_id, verdict)
            if question.conversation_id:
                question = await recall(question)
            if needs_rephrasing(question.text, question.history):
                question = await rephrase(question)
            if question.persona == AUTO:
                question = await route(question)
            passages, note, calls, refusal = await retrieve(question)
            if refusal:
                return await record_refusal(query_id, tenant_id, refusal)
            draft = await generate(question, passages)
            if draft.refusal:
                return await record_refusal(query_id, tenant_id, draft.refusal)
            await record_answer(question, draft, passages, note, calls)
    except Exception as error:
        await record_failure(query_id, tenant_id, error)
        raise
