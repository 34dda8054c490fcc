"""Answer a question that an analyst types into the Prefect form."""

from typing import Annotated
from uuid import UUID

from prefect import flow
from pydantic import Field

from flows.answer import answer_query
from kowai.personas import askable, personas
from tasks.receive import Inquiry, find_tenant, receive_query
from tasks.show import show_answer

PersonaName = Annotated[str, Field(json_schema_extra={"enum": [*askable()]})]
OnePersona = Annotated[str, Field(json_schema_extra={"enum": [*personas()]})]


@flow(name="ask", persist_result=False)
async def ask(
    question: Annotated[str, Field(min_length=1)],
    persona: PersonaName = "assistant",
    tenant: str = "default",
    show_text: bool = True,
) -> UUID:
    """Store the question, answer it by its id, and leave an artifact with the answer or where to find it.

    Args:
        question: What you want to know, in your own words.
        persona: Who answers; auto chooses by what you ask.
        tenant: Whose documents answer it.
        show_text: Also show the answer's text here, where everyone who may open Prefect can read it.
    """
    tenant_id = await find_tenant(tenant)
    query_id = await receive_query(Inquiry(question, persona), tenant_id)
    await answer_query.fn(query_id, tenant_id)
    await show_answer(query_id, tenant_id, show_text)
    return query_id
