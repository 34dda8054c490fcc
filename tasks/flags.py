"""A tenant's flags: kept in the database, known for ten seconds, and resolved without a round trip."""

import time
from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql
from sqlmodel import col

from blocks.connections import database
from kowai.errors import NotFound
from kowai.flags import Flag
from kowai.tables.experiments import FlagRow

FRESH_SECONDS = 10.0


class Known(NamedTuple):
    flags: Mapping[str, Flag]
    read_at: float


_known: dict[UUID, Known] = {}


async def flags_of(tenant_id: UUID) -> Mapping[str, Flag]:
    """Return the tenant's flags by name, which may be ten seconds old."""
    known = known_flags(tenant_id)
    if known is None:
        reading = _known[tenant_id] = Known({}, -FRESH_SECONDS)
        known = await list_flags(tenant_id)
        if _known.get(tenant_id) is reading:  # or they were changed meanwhile
            _known[tenant_id] = Known(known, time.monotonic())
    return known


def known_flags(tenant_id: UUID) -> Mapping[str, Flag] | None:
    """Return the flags if they were read within the last ten seconds."""
    known = _known.get(tenant_id)
    return known.flags if known and time.monotonic() - known.read_at <= FRESH_SECONDS else None


async def list_flags(tenant_id: UUID) -> dict[str, Flag]:
    """Return the tenant's flags as they are now."""
    stored = select(col(FlagRow.content)).order_by(col(FlagRow.name))
    async with (await database()).transaction(tenant_id) as connection:
        flags = [Flag.model_validate(content) for content in await connection.scalars(stored)]
    return {flag.name: flag for flag in flags}


async def save_flag(flag: Flag, tenant_id: UUID) -> None:
    """Make or replace a flag; other processes follow within ten seconds."""
    content = flag.model_dump(mode="json")
    stored = postgresql.insert(FlagRow).values(tenant_id=tenant_id, name=flag.name, content=content)
    changed = stored.on_conflict_do_update(index_elements=["tenant_id", "name"], set_={"content": content})
    async with (await database()).transaction(tenant_id) as connection:
        await connection.execute(changed)
    _known.pop(tenant_id, None)


async def remove_flag(name: str, tenant_id: UUID) -> None:
    """Delete a flag. Raises NotFound."""
    async with (await database()).transaction(tenant_id) as connection:
        gone = await connection.execute(delete(FlagRow).where(col(FlagRow.name) == name))
    _known.pop(tenant_id, None)
    if not gone.rowcount:
        raise NotFound(f"There is no flag '{name}'.")
