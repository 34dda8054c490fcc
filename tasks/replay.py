"""Show what an answer was made of, make it again from exactly that, and show the difference."""

from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from blocks.connections import database, language_model
from kowai.errors import NotFound, NothingToReplay
from kowai.extraction import LEAST_CONFIDENCE, MODEL
from kowai.personas import personas
from kowai.quoting import quoted_passages
from kowai.replay import Outcome, Record, Replay, Source, difference
from kowai.tables.knowledge import Document
from kowai.tables.ledger import Event
from kowai.tables.queries import AnswerRow, Query
from kowai.types import Draft, Passage, Prompt
from kowai.versions import PromptSetting
from tasks import metered
from tasks.paid import paid_in, sum_paid
from tasks.rereading import Rereading
from tasks.step import step
from tasks.versions import answering_by, live_versions
from tasks.writing import extracted, written

UNMADE = "This question has no answer to replay."
UNKEPT = "This answer was made before KowAI kept what a model was asked: ask the question again."

OF_QUERY = ("standalone", "filters", "persona", "flow_run_id", "status", "finished_at")
OF_ANSWER = ("persona_version", "prompt", "passages", "text", "citations", "sentences", "confidence", "abstained")
OF_MODEL = ("model", "fallback", "usage", "cost")
COLUMNS: list[Any] = [
    col(Query.text).label("question"),
    col(Query.created_at).label("asked_at"),
    *(getattr(Query, name) for name in OF_QUERY),
    *(getattr(AnswerRow, name) for name in (*OF_ANSWER, *OF_MODEL)),
]
AS_STORED = ("question", "standalone", "filters", "persona", "persona_version", "flow_run_id", "asked_at")
FOUND: Any = select(*COLUMNS).select_from(Query).outerjoin(AnswerRow, col(AnswerRow.query_id) == col(Query.id))


@step
async def read_record(query_id: UUID, tenant_id: UUID) -> Record:
    """Return everything an answer was made of. Raises NotFound, and NothingToReplay where there is no answer."""
    async with (await database()).transaction(tenant_id) as connection:
        row = (await connection.execute(FOUND.where(col(Query.id) == query_id))).one_or_none()
        if row is None:
            raise NotFound("There is no such question.")
        if row.text is None:
            raise NothingToReplay(UNMADE)
        passages = [Passage.model_validate(passage) for passage in row.passages]
        versions = await _current_versions(connection, passages)
        live = await live_versions(connection)
    now = (await answering_by(row.persona, live, tenant_id)).version if row.persona in personas() else None
    sources = [Source(passage=passage, current_version=versions.get(passage.document_id)) for passage in passages]
    return Record(
        query_id=query_id,
        current_persona_version=now,
        prompt=Prompt.model_validate(row.prompt) if row.prompt else None,
        passages=tuple(sources),
        answer=Outcome.of(row),
        **{name: getattr(row, name) for name in (*AS_STORED, "finished_at", "fallback", "usage", "cost")},
    )


async def _current_versions(connection: AsyncConnection, passages: list[Passage]) -> dict[UUID, int]:
    ids = {passage.document_id for passage in passages}
    found = await connection.execute(select(col(Document.id), col(Document.version)).where(col(Document.id).in_(ids)))
    return {row.id: row.version for row in found}


@step
async def replay(record: Record, tenant_id: UUID, sample: int = 0) -> Replay:
    """Make an answer again from its stored passages and prompt, and compare.

    A model's stored reply is read again and nothing is paid, unless `sample` is another number than 0: then the
    model is asked anew. Raises NothingToReplay, and when asking anew what `metered.ask` raises.
    """
    passages = [source.passage for source in record.passages]
    made = await _made_again(record, passages, tenant_id, sample)
    outcome = Outcome.of(made)
    shown = difference(record.answer, outcome)
    told = {"fresh": bool(sample), "identical": not shown}
    event = insert(Event).values(tenant_id=tenant_id, subject=record.query_id, kind="query.replayed", payload=told)
    async with (await database()).transaction(tenant_id) as connection:
        asked = made.prompt.calls if made.prompt else ()
        summed = sum_paid(connection, asked) if sample and asked else None
        await connection.execute(event)
    paid = (await paid_in(summed)).cost if summed else Decimal(0)
    return Replay(query_id=record.query_id, difference=shown, answer=outcome, cost=paid, **told)


async def _made_again(record: Record, passages: list[Passage], tenant_id: UUID, sample: int) -> Draft:
    if record.answer.model == MODEL:
        kept = record.prompt.inputs if record.prompt else {}
        return await extracted(
            kept.get("question", record.question),
            passages,
            kept.get("length"),
            kept.get("least_confidence", LEAST_CONFIDENCE),
            tenant_id=tenant_id,
        )
    if record.prompt is None:
        raise NothingToReplay(UNKEPT)
    told = PromptSetting(instructions=record.prompt.instructions or None, demos=record.prompt.demos)
    ask = _asker(record, tenant_id, sample)
    options: dict[str, Any] = {"uncited": record.prompt.uncited, "tenant_id": tenant_id}
    return await written(record.prompt.inputs, passages, await language_model(), ask, told, **options)


def _asker(record: Record, tenant_id: UUID, sample: int) -> Any:
    if not sample:
        return Rereading(record.prompt.calls if record.prompt else (), tenant_id).ask
    persona = personas().get(record.persona)
    role = persona.role if persona else "careful"
    return partial(metered.ask, tenant_id=tenant_id, query_id=record.query_id, role=role, sample=sample)


def shown_prompt(record: Record) -> Prompt | None:
    """Return the prompt as the model got it, passages included."""
    prompt = record.prompt
    if prompt is None or prompt.signature == MODEL:
        return prompt
    passages = quoted_passages([source.passage for source in record.passages])
    return prompt.model_copy(update={"inputs": prompt.inputs | {"passages": passages}})
