"""Account for an ingestion: in its row and, in a Prefect run, as artifacts."""

from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy
from prefect.artifacts import acreate_table_artifact
from prefect.context import FlowRunContext
from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col, select

from blocks.connections import database
from kowai.tables.ingestion import Ingestion
from kowai.tables.ingestion import IngestionItem as Row
from tasks.step import step

SHOWN = 200
COLUMNS = ("outcome", "documents", "document", "cause", "why")  # Prefect shows those of the first row, and no others


class Counts(NamedTuple):
    """Count items by where they ended: accepted is the sum of the others."""

    accepted: int
    indexed: int
    unchanged: int
    dead: int
    in_progress: int


async def count_items(connection: AsyncConnection, ingestion_id: UUID) -> Counts:
    counted = select(col(Row.state), func.count()).where(col(Row.ingestion_id) == ingestion_id).group_by(col(Row.state))
    by_state = dict(row.tuple() for row in await connection.execute(counted))
    ended = [by_state.pop(state, 0) for state in ("indexed", "unchanged", "dead")]
    in_progress = sum(by_state.values())
    indexed, unchanged, dead = ended
    return Counts(sum(ended) + in_progress, indexed, unchanged, dead, in_progress)


async def list_items(connection: AsyncConnection, ingestion_id: UUID, *, limit: int) -> list[dict[str, Any]]:
    """Return items as rows, dead ones first."""
    columns = (col(Row.uri), col(Row.state), col(Row.cause), col(Row.sentence), col(Row.document_id))
    rows = sqlalchemy.select(*columns).where(col(Row.ingestion_id) == ingestion_id)
    ordered = rows.order_by(col(Row.state) != "dead", col(Row.created_at), col(Row.id)).limit(limit)
    return [dict(row) for row in (await connection.execute(ordered)).mappings()]


@step
async def report_ingestion(ingestion_id: UUID, tenant_id: UUID) -> Counts:
    """Close the ingestion and show its accounts as artifacts of the run, if this is a Prefect run."""
    finished = update(Ingestion).where(col(Ingestion.id) == ingestion_id).values(finished_at=datetime.now(UTC))
    async with (await database()).transaction(tenant_id) as connection:
        counts = await count_items(connection, ingestion_id)
        items = await list_items(connection, ingestion_id, limit=SHOWN)
        await connection.execute(finished)
    if FlowRunContext.get() is not None:
        await _show(counts, [item for item in items if item["state"] == "dead"], ingestion_id)
    return counts


async def _show(counts: Counts, dead: list[dict[str, Any]], ingestion_id: UUID) -> None:
    description = f"Ingestion {ingestion_id}: accepted = indexed + unchanged + dead + in progress."
    table = [
        dict.fromkeys(COLUMNS, "") | {"outcome": name, "documents": count} for name, count in counts._asdict().items()
    ]
    table += [
        dict.fromkeys(COLUMNS, "")
        | {"outcome": "dead letter", "document": item["uri"], "cause": item["cause"], "why": item["sentence"]}
        for item in dead
    ]
    await acreate_table_artifact(key="ingestion", table=table, description=description)
