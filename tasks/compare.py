"""Put what the personas said side by side: as files in the bucket and as tables in the run."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from prefect.artifacts import acreate_table_artifact
from prefect.context import FlowRunContext
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col, select

from blocks.connections import bucket, database
from kowai import erasure
from kowai.comparison import Compared, Said, as_csv, as_jsonl, summary, totals
from kowai.tables.batches import Batch
from tasks.batches import Counts, count_items
from tasks.step import step

SHOWN = 200

ITEMS = text("""
select s.key, s.text as question, i.persona, i.id as query_id, i.state, i.cause, i.sentence, a.text as answer,
  a.abstained, a.confidence, a.cost, a.model, a.citations, q.persona as answered_by
from batch_item i join set_question s on s.id = i.question_id left join answer a on a.query_id = i.id
  left join query q on q.id = i.id
where i.batch_id = :batch order by s.ordinal, i.persona
""")
OF_ITEM = [name for name in Said.model_fields if name != "citations"]


async def compared(connection: AsyncConnection, batch_id: UUID) -> list[Compared]:
    """Return the batch's questions in order, each with what every persona has said so far."""
    rows: dict[str, tuple[str, dict[str, Said]]] = {}
    for item in (await connection.execute(ITEMS, {"batch": batch_id})).mappings():
        said = Said(**{name: item[name] for name in OF_ITEM}, citations=tuple(item["citations"] or ()))
        rows.setdefault(item["key"], (item["question"], {}))[1][item["persona"]] = said
    return [Compared(id=key, question=question, personas=said) for key, (question, said) in rows.items()]


@step
async def report_batch(batch_id: UUID, tenant_id: UUID) -> Counts:
    """Store the comparison as CSV and JSON Lines, close the batch, and show it without its text in Prefect."""
    async with (await database()).transaction(tenant_id) as connection:
        await connection.execute(text(erasure.SHARE))  # or a document deleted meanwhile would live on in the files
        personas: list[str] = (
            await connection.scalar(select(col(Batch.personas)).where(col(Batch.id) == batch_id)) or []
        )
        rows = await compared(connection, batch_id)
        files = {"csv": as_csv(rows, personas), "jsonl": as_jsonl(rows)}
        results = {name: await bucket().put(tenant_id, content) for name, content in files.items()}
        ended = {"status": "done", "finished_at": datetime.now(UTC), "results": results}
        counts = await count_items(connection, batch_id)
        await connection.execute(update(Batch).where(col(Batch.id) == batch_id).values(**ended))
    if FlowRunContext.get() is not None:
        await _show(batch_id, rows, personas, counts)
    return counts


async def _show(batch_id: UUID, rows: Sequence[Compared], personas: Sequence[str], counts: Counts) -> None:
    where = f"The answers: GET /api/v1/batches/{batch_id}/results"
    described = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts._asdict().items())
    shares: list[dict[str, Any]] = [{k: _shown(v) for k, v in row.items()} for row in totals(rows, personas)]
    await acreate_table_artifact(key="personas", table=shares, description=f"{described}. {where}")
    first = summary(rows[:SHOWN], personas)
    await acreate_table_artifact(key="comparison", table=first, description=f"The first {len(first):,}. {where}")


def _shown(value: Any) -> Any:
    return "unknown" if value is None else value
