"""What guards saw, told in the event log: kinds and counts, never text."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from kowai.policies import reported
from kowai.tables.ledger import Event
from kowai.types import Finding

KIND = "guard.finding"


async def report_findings(
    connection: AsyncConnection, subject: UUID, tenant_id: UUID, findings: Sequence[Finding]
) -> None:
    """Append one event a guard in the transaction of what was looked at; looking at it again tells nothing twice."""
    if not findings:
        return
    about = {"tenant_id": tenant_id, "subject": subject, "kind": KIND}
    told = select(col(Event.payload)).where(col(Event.subject) == subject, col(Event.kind) == KIND)
    known = list(await connection.scalars(told))
    facts = [about | {"payload": payload} for payload in reported(findings) if payload not in known]
    if facts:
        await connection.execute(insert(Event).values(facts))
