"""Show an answer in Prefect to the analyst who asked there."""

from typing import Any
from uuid import UUID

from prefect.artifacts import acreate_markdown_artifact
from prefect.context import FlowRunContext
from sqlmodel import col, select

from blocks.connections import database
from kowai.tables.queries import AnswerRow, Query
from tasks.step import step


@step
async def show_answer(query_id: UUID, tenant_id: UUID, with_text: bool) -> None:
    """Leave an artifact that says how the question ended and, when allowed, what the answer is."""
    columns = select(col(Query.status), col(Query.sentence), col(AnswerRow.text), col(AnswerRow.citations))
    found = columns.outerjoin(AnswerRow, col(AnswerRow.query_id) == col(Query.id)).where(col(Query.id) == query_id)
    async with (await database()).transaction(tenant_id) as connection:
        status, sentence, text, citations = (await connection.execute(found)).one()
    lines = [f"**{status}**: `GET /api/v1/query/{query_id}` returns the answer."]
    if with_text:
        lines += [text or sentence or "", *(f"{n}. {_source(cited)}" for n, cited in enumerate(citations or [], 1))]
    if FlowRunContext.get() is not None:
        await acreate_markdown_artifact(markdown="\n\n".join(lines), key="answer")


def _source(citation: dict[str, Any]) -> str:
    page = f", page {citation['page']}" if citation["page"] else ""
    name = citation["title"] or citation["external_id"]
    return f"{name}{page}, version {citation['version']}: “{citation['quote']}”"
