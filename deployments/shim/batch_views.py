"""What a batch looks like to whoever started it."""

from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import text
from sqlmodel import col, select

from blocks.connections import bucket, database
from deployments.shim.quoting import ApprovalView
from kowai.comparison import Compared, as_csv, as_jsonl, totals
from kowai.errors import NotFound
from kowai.pricing import Dollars
from kowai.quotes import Quote
from kowai.tables.batches import Batch
from tasks.batches import count_items
from tasks.compare import compared

LISTED = 1000

COST = text("""
select sum(a.cost) as cost, count(*) filter (where a.id is not null and a.cost is null) as unknown
from batch_item i left join answer a on a.query_id = i.id where i.batch_id = :batch
""")
ENDED_BADLY = text("""
select i.id as query_id, s.key as question, i.persona, i.state, i.cause, i.sentence
from batch_item i join set_question s on s.id = i.question_id
where i.batch_id = :batch and i.state in ('dead', 'refused') order by i.state, s.ordinal, i.persona limit :limit
""")


class Ended(BaseModel):
    """Say why one item has no answer."""

    query_id: UUID
    question: str
    persona: str
    state: Literal["refused", "dead"]
    cause: str
    sentence: str | None


class BatchView(BaseModel):
    """Account for every item: accepted = done + refused + dead + in_progress; null is unknown."""

    batch_id: UUID
    question_set_id: UUID
    status: Literal["queued", "quoted", "waiting", "running", "done", "declined"]
    personas: list[str]
    dry_run: bool
    quote: Quote | None
    approval: ApprovalView | None
    accepted: int
    done: int
    refused: int
    dead: int
    in_progress: int
    cost: Dollars | None
    of_unknown_cost: int
    without_answer: list[Ended]
    flow_run_id: UUID | None


FOUND = text("""
select b.question_set_id, b.personas, b.dry_run, b.flow_run_id, to_jsonb(a) as approval, a.quote,
  case when a.state = 'waiting' then a.state else b.status end as status
from batch b left join approval a on a.id = b.id where b.id = :batch
""")


async def read_batch(batch_id: UUID, tenant_id: UUID) -> BatchView:
    """Return a batch of this tenant with where its items stand. Raises NotFound."""
    async with (await database()).transaction(tenant_id) as connection:
        row = (await connection.execute(FOUND, {"batch": batch_id})).mappings().one_or_none()
        if row is None:
            raise NotFound("There is no such batch.")
        counts = await count_items(connection, batch_id)
        cost = (await connection.execute(COST, {"batch": batch_id})).one()
        ended = (await connection.execute(ENDED_BADLY, {"batch": batch_id, "limit": LISTED})).mappings()
        listed = [Ended.model_validate(dict(item)) for item in ended]
    told: dict[str, Any] = {**row, **counts._asdict(), "cost": cost.cost, "of_unknown_cost": cost.unknown}
    return BatchView(batch_id=batch_id, without_answer=listed, **told)


class Results(BaseModel):
    """Compare the personas: in total, and question by question."""

    batch_id: UUID
    status: str
    totals: list[dict[str, Any]]
    questions: list[Compared]


async def read_results(batch_id: UUID, tenant_id: UUID) -> Results:
    """Return what the personas have said so far. Raises NotFound."""
    status, personas, _ = await _batch(batch_id, tenant_id)
    rows = await _compared(batch_id, tenant_id)
    return Results(batch_id=batch_id, status=status, totals=totals(rows, personas), questions=rows)


async def read_file(batch_id: UUID, tenant_id: UUID, kind: Literal["csv", "jsonl"]) -> bytes:
    """Return the stored table, or that of what was said so far. Raises NotFound."""
    _, personas, files = await _batch(batch_id, tenant_id)
    if kind in files:
        return await bucket().read_path(files[kind])
    rows = await _compared(batch_id, tenant_id)
    return as_csv(rows, personas) if kind == "csv" else as_jsonl(rows)


async def _batch(batch_id: UUID, tenant_id: UUID) -> tuple[str, list[str], dict[str, str]]:
    found = select(col(Batch.status), col(Batch.personas), col(Batch.results)).where(col(Batch.id) == batch_id)
    async with (await database()).transaction(tenant_id) as connection:
        row = (await connection.execute(found)).one_or_none()
    if row is None:
        raise NotFound("There is no such batch.")
    return row.status, row.personas, row.results


async def _compared(batch_id: UUID, tenant_id: UUID) -> list[Compared]:
    async with (await database()).transaction(tenant_id) as connection:
        return await compared(connection, batch_id)
