"""Account for an ingestion: in its row and, in a Prefect run, as artifacts."""
# ruff: noqa: S608 -- only column names are put into the text

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy
from prefect.artifacts import acreate_table_artifact
from prefect.context import FlowRunContext
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from blocks.connections import database
from kowai.ledger import SUMS, Counts
from kowai.remedies import remedy
from kowai.tables.ingestion import Ingestion
from kowai.tables.ingestion import IngestionItem as Row
from tasks.step import patient_step

SHOWN = 200
COLUMNS = (
    "outcome",
    "documents",
    "document",
    "cause",
    "why",
    "fix",
)  # Prefect shows those of the first row, and no others


async def count_items(connection: AsyncConnection, ingestion_id: UUID) -> Counts:
    row = await connection.execute(text(f"select {SUMS} from ledger where ingestion_id = :id"), {"id": ingestion_id})
    return Counts(*row.one())


async def list_items(connection: AsyncConnection, ingestion_id: UUID, *, limit: int) -> list[dict[str, Any]]:
    """Return items as rows, those with a cause first."""
    columns = (col(Row.uri), col(Row.state), col(Row.cause), col(Row.sentence), col(Row.document_id))
    rows = sqlalchemy.select(*columns).where(col(Row.ingestion_id) == ingestion_id)
    ordered = rows.order_by(col(Row.cause).is_(None), col(Row.created_at), col(Row.id)).limit(limit)
    return [dict(row) for row in (await connection.execute(ordered)).mappings()]


@patient_step
async def report_ingestion(ingestion_id: UUID, tenant_id: UUID) -> Counts:
    """Close the ingestion and show its accounts as artifacts of the run, if this is a Prefect run."""
    finished = update(Ingestion).where(col(Ingestion.id) == ingestion_id).values(finished_at=datetime.now(UTC))
    async with (await database()).transaction(tenant_id) as connection:
        counts = await count_items(connection, ingestion_id)
        items = await list_items(connection, ingestion_id, limit=SHOWN)
        await connection.execute(finished)
    if FlowRunContext.get() is not None:
        await _show(counts, [item for item in items if item["cause"]], ingestion_id)
    return counts


async def _show(counts: Counts, unread: list[dict[str, Any]], ingestion_id: UUID) -> None:
    description = f"Ingestion {ingestion_id}: accepted = indexed + unchanged + quarantined + dead + in progress."
    table = [
        dict.fromkeys(COLUMNS, "") | {"outcome": name, "documents": count} for name, count in counts._asdict().items()
    ]
    table += [
        dict.fromkeys(COLUMNS, "")
        | {"outcome": item["state"], "document": item["uri"], "cause": item["cause"], "why": item["sentence"]}
        | {"fix": remedy(item["cause"])}
        for item in unread
    ]
    await acreate_table_artifact(key="ingestion", table=table, description=description)
