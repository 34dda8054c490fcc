"""What an answer looks like to whoever asked."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy import ARRAY, Uuid, any_, bindparam, select
from sqlmodel import col

from blocks.compiled import Compiled
from blocks.connections import database
from kowai.errors import NotFound
from kowai.pricing import Dollars
from kowai.tables.queries import AnswerRow, Query
from kowai.types import Citation, QueryStatus, Statement, Usage
from tasks.history import note_on
from tasks.locate import locate
from tasks.read_back import ReadBack


class Fault(BaseModel):
    """Say why a question was refused or failed."""

    code: str
    message: str


class Routing(BaseModel):
    """Say what chose the persona, its examples or a model, and how likely, in [0, 1], the choice is right."""

    by: str
    confidence: float | None


class Answer(BaseModel):
    """Hold a question's state and, once it is done, its cited answer; null is unknown."""

    query_id: UUID
    asked_by: UUID | None = Field(description="The user or key that asked; null: somebody in Prefect.")
    conversation_id: UUID | None
    turn: int | None
    question: str = Field(description="As it was asked.")
    standalone: str = Field(description="As it was searched for.")
    status: QueryStatus
    answer: str | None
    citations: list[Citation]
    sentences: list[Statement] = []
    confidence: float | None
    abstained: bool | None
    persona: str
    routing: Routing | None
    model: str | None
    fallback: bool | None
    usage: Usage
    cost: Dollars | None
    flow_run_id: UUID | None
    error: Fault | None = None
    note: str | None = Field(None, description="What was missing: knowledge that retention has taken, or a reranker.")


OF_QUERY = (
    *("asked_by", "conversation_id", "turn", "standalone", "status", "persona", "routed_by", "routing_confidence"),
    *("flow_run_id", "refusal", "sentence", "filters"),
)
OF_ANSWER = ("text", "citations", "sentences", "confidence", "abstained", "model", "fallback", "usage", "cost", "note")
NAMED: list[Any] = [col(Query.id).label("query_id"), col(Query.text).label("question")]
COLUMNS: list[Any] = [
    *NAMED,
    *(getattr(Query, name) for name in OF_QUERY),
    *(getattr(AnswerRow, name) for name in OF_ANSWER),
]
WANTED = any_(bindparam("ids", type_=ARRAY(Uuid())))
FOUND = select(*COLUMNS).select_from(Query).outerjoin(AnswerRow, col(AnswerRow.query_id) == col(Query.id))
READ = Compiled(FOUND.where(col(Query.id) == WANTED).order_by(col(Query.turn)))
AS_STORED = (
    *("query_id", "asked_by", "question", "conversation_id", "turn", "standalone", "status", "persona", "flow_run_id"),
    *("confidence", "abstained", "model", "fallback", "cost"),
)


async def read_answer(query_id: UUID, tenant_id: UUID, back: ReadBack | None = None) -> Answer:
    """Return a query of this tenant as its caller sees it, from what was read `back` where it was. Raises NotFound."""
    known = back and back.row
    found = await (_answers([known], tenant_id) if known else read_answers([query_id], tenant_id))
    if not found:
        raise NotFound("There is no such question.")
    return found[0]


async def read_answers(query_ids: Sequence[UUID], tenant_id: UUID) -> list[Answer]:
    """Return those of the queries that there are, in the order of their turns."""
    async with (await database()).transaction(tenant_id, by_key=True) as connection:
        found = READ.later(connection, {"ids": list(query_ids)})
    return await _answers(await found.fetchall(), tenant_id)


async def _answers(rows: Sequence[Any], tenant_id: UUID) -> list[Answer]:
    cited = [_citations(row) for row in rows]
    placed = iter(await locate([citation for own in cited for citation in own], tenant_id))
    told = [(row, [next(placed) for _ in own]) for row, own in zip(rows, cited, strict=True)]
    return [_answer(row, citations, await note_on(row.filters, tenant_id)) for row, citations in told]


def _citations(row: Any) -> list[Citation]:
    return [Citation.model_validate(citation) for citation in row.citations or ()]


def _answer(row: Any, citations: list[Citation], note: str | None) -> Answer:
    return Answer(
        answer=row.text,
        citations=citations,
        routing=Routing(by=row.routed_by, confidence=row.routing_confidence) if row.routed_by else None,
        sentences=row.sentences or [],
        usage=row.usage or Usage(),
        error=Fault(code=row.refusal, message=row.sentence) if row.refusal else None,
        note=" ".join(each for each in (row.note, note) if each) or None,
        **{name: getattr(row, name) for name in AS_STORED},
    )
