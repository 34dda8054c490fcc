"""Turn the sources of an ingestion into items, each of which will end somewhere."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import text, update
from sqlmodel import col, select

from blocks.connections import database
from kowai import document_rows
from kowai.tables.ingestion import Ingestion
from tasks.deleted import admit_items
from tasks.forget import let_go
from tasks.offers import Offers, is_packed, unpacked
from tasks.sources import find_sources
from tasks.step import patient_step

BATCH = 1000


@patient_step
async def accept(ingestion_id: UUID, tenant_id: UUID) -> None:
    """Store one item for each document the sources hold, and what their walks left; once done, it is not done again.

    An uploaded archive is let go of: its documents are kept one by one, so that each can be deleted for good.
    """
    store = await database()
    async with store.transaction(tenant_id) as connection:
        wanted = select(col(Ingestion.sources), col(Ingestion.walks)).where(col(Ingestion.id) == ingestion_id)
        (sources, walks) = (await connection.execute(wanted)).one()
    if walks is not None:
        return
    offers = Offers(sources, await find_sources([one["uri"] for one in sources], tenant_id), tenant_id)
    items = iter(offers)
    while batch := await asyncio.to_thread(_next, items):
        async with store.transaction(tenant_id) as connection:
            admitted = await admit_items(connection, batch, ingestion_id, tenant_id)
            if admitted:
                await connection.execute(text(document_rows.ACCEPT), _columns(admitted) | {"ingestion": ingestion_id})
    left: dict[str, Any] = {"walks": offers.walks, "sources": [unpacked(source) for source in sources]}
    packed = [source["original"] for source in sources if is_packed(source)]
    async with store.transaction(tenant_id) as connection:
        await connection.execute(update(Ingestion).where(col(Ingestion.id) == ingestion_id).values(**left))
        await let_go(connection, packed, tenant_id)


def _next(items: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    return list(islice(items, BATCH))


def _columns(items: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return the columns of items, the first of each name only."""
    named = {item["uri"]: item for item in reversed(items)}.values()
    columns = {name: [item[name] for item in named] for name in ("source_id", "uri", "state", "cause", "sentence")}
    return columns | {"details": [json.dumps(item["details"]) for item in named]}
