"""Write the audit log, read it, and find what was changed in it."""

from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import insert, select, text
from sqlmodel import col

from blocks.connections import database
from kowai.audit import BEGINNING, Deed, Link, first_broken, seal
from kowai.tables.audit import AuditEntry

PAGE = 5_000
COLUMNS: list[Any] = [getattr(AuditEntry, name) for name in ("number", *Deed._fields, "previous", "hash")]
TURN = text("select pg_advisory_xact_lock(hashtextextended('audit ' || cast(:tenant as text), 0))")


class Verdict(NamedTuple):
    """Hold how many entries there are, the last one's hash, and the first entry that does not hold."""

    entries: int
    head: str
    broken_at: int | None


async def append(deed: Deed, tenant_id: UUID) -> None:
    """Chain a deed to the tenant's log; writers of one tenant take turns."""
    last = select(col(AuditEntry.number), col(AuditEntry.hash)).order_by(col(AuditEntry.number).desc()).limit(1)
    async with (await database()).transaction(tenant_id) as connection:
        await connection.execute(TURN, {"tenant": tenant_id})
        row = (await connection.execute(last.where(col(AuditEntry.tenant_id) == tenant_id))).one_or_none()
        number, previous = (row.number + 1, row.hash) if row else (1, BEGINNING)
        chained = {"number": number, "previous": previous, "hash": seal(tenant_id, number, deed, previous)}
        await connection.execute(insert(AuditEntry).values(tenant_id=tenant_id, **deed._asdict(), **chained))


async def read_links(tenant_id: UUID, after: int = 0, limit: int = PAGE) -> list[Link]:
    """Return entries behind a number, in order."""
    found = select(*COLUMNS).where(col(AuditEntry.tenant_id) == tenant_id, col(AuditEntry.number) > after)
    async with (await database()).transaction(tenant_id) as connection:
        rows = (await connection.execute(found.order_by(col(AuditEntry.number)).limit(limit))).all()
    return [Link(row[0], Deed(*row[1:-2]), row[-2], row[-1]) for row in rows]


async def verify_log(tenant_id: UUID) -> Verdict:
    """Recompute the chain from its beginning."""
    number, head = 0, BEGINNING
    while links := await read_links(tenant_id, number):
        broken = first_broken(tenant_id, links, (number, head))
        if broken is not None:
            return Verdict(number + len(links), links[-1].hash, broken)
        number, head = links[-1].number, links[-1].hash
    return Verdict(number, head, None)
