"""Look at documents before they are indexed; what a guard holds back waits for somebody to look at it."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from blocks.connections import database
from kowai.guards import Content, guards
from kowai.policies import GuardPolicy, Inspection, inspect
from kowai.tables.quarantine import Quarantine
from kowai.types import Finding
from tasks.deleted import hold_items
from tasks.findings import report_findings
from tasks.policy import policy_of
from tasks.read import Reading
from tasks.step import patient_step

AROUND = 200  # characters shown on either side of what was seen
SHOWN = 20
HELD = "A guard holds this document back until somebody has looked at it: `kowai quarantine`."
REJECTED = "Somebody looked at this content and rejected it."


@patient_step
async def inspect_documents(readings: Sequence[Reading], tenant_id: UUID) -> list[Reading]:
    """Return the readings, those without text that guards hold back or refuse; released content passes."""
    policy = await policy_of(tenant_id)
    seen = await asyncio.to_thread(_looked_at, readings, policy)
    if not seen:
        return list(readings)
    async with (await database()).transaction(tenant_id) as connection:
        there = await hold_items(connection, {reading.item_id: reading.attempt for reading in readings})
        decided = await _decisions(connection, [reading for reading in readings if reading.item_id in seen])
        return [
            await _judged(connection, reading, seen[reading.item_id], decided, tenant_id)
            if reading.item_id in seen and reading.item_id in there
            else reading
            for reading in readings
        ]


def _looked_at(readings: Sequence[Reading], policy: GuardPolicy) -> dict[UUID, Inspection]:
    """Return what was seen by item; nothing for documents in which nothing was."""
    read = [(reading.item_id, reading.document.text) for reading in readings if reading.document is not None]
    looked = {item_id: inspect(Content(text, "document", policy.limits), policy) for item_id, text in read}
    return {item_id: inspection for item_id, inspection in looked.items() if inspection.findings}


async def _decisions(connection: AsyncConnection, readings: Sequence[Reading]) -> dict[tuple[str, str], str]:
    named = [(reading.external_id, reading.content_hash) for reading in readings]
    columns = (col(Quarantine.external_id), col(Quarantine.content_hash), col(Quarantine.state))
    found = select(*columns).where(tuple_(*columns[:2]).in_(named))
    return {(row[0], row[1]): row[2] for row in await connection.execute(found)}


async def _judged(
    connection: AsyncConnection,
    reading: Reading,
    seen: Inspection,
    decided: dict[tuple[str, str], str],
    tenant_id: UUID,
) -> Reading:
    await report_findings(connection, reading.item_id, tenant_id, seen.findings)
    decision = decided.get((reading.external_id, reading.content_hash))
    if not seen.verdict.allowed:
        return _without_text(reading, seen.verdict.code, seen.verdict.sentence)
    held = seen.asking("quarantine")
    if not held or decision == "released":
        return reading
    if decision == "rejected":
        return _without_text(reading, "rejected", REJECTED)
    await _hold(connection, reading, held, tenant_id)
    return _without_text(reading, held[0].guard, HELD).model_copy(update={"quarantined": True})


async def _hold(connection: AsyncConnection, reading: Reading, held: Sequence[Finding], tenant_id: UUID) -> None:
    about = {"external_id": reading.external_id, "content_hash": reading.content_hash, "title": reading.title}
    assert reading.document is not None
    passages = [_shown(finding, reading.document.text) for finding in held[:SHOWN]]
    row = about | {"tenant_id": tenant_id, "item_id": reading.item_id, "passages": passages}
    store = postgresql.insert(Quarantine).values(**row)
    renewed = {"item_id": store.excluded.item_id, "passages": store.excluded.passages, "title": store.excluded.title}
    store = store.on_conflict_do_update(index_elements=["tenant_id", "external_id", "content_hash"], set_=renewed)
    await connection.execute(store)


def _shown(finding: Finding, text: str) -> dict[str, Any]:
    """Return what the reviewer is shown: what was seen with some text around it."""
    start, end = max(0, finding.start - AROUND), min(len(text), finding.end + AROUND)
    about = finding.model_dump(include={"guard", "kind", "start", "end", "score"})
    return (
        about
        | {"summary": guards()[finding.guard].summary, "before": text[start : finding.start]}
        | {
            "text": text[finding.start : finding.end],
            "after": text[finding.end : end],
        }
    )


def _without_text(reading: Reading, cause: str, sentence: str) -> Reading:
    return reading.model_copy(update={"document": None, "chunks": (), "cause": cause, "sentence": sentence})
