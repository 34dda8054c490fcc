"""Which policy a tenant's guards are held to: the block's, and over it the tenant's own switches."""

import time
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql
from sqlmodel import col

from blocks.connections import database, policy
from kowai.policies import GuardPolicy, Switch, checked_switch
from kowai.tables.policies import GuardSwitch as Row
from tasks.step import step

FRESH_SECONDS = 10.0


class Known(NamedTuple):
    switches: tuple[Switch, ...]
    read_at: float


_known: dict[UUID, Known] = {}


async def policy_of(tenant_id: UUID) -> GuardPolicy:
    """Return the tenant's policy; its switches may be ten seconds old, so that no question waits for them."""
    known = _known.get(tenant_id)
    if known is None or time.monotonic() - known.read_at > FRESH_SECONDS:
        reading = _known[tenant_id] = Known((), -FRESH_SECONDS)
        known = Known(tuple(await own_switches(tenant_id)), time.monotonic())
        if _known.get(tenant_id) is reading:  # or they were changed meanwhile
            _known[tenant_id] = known
    return (await policy()).rules().overridden(known.switches)


async def own_switches(tenant_id: UUID) -> Sequence[Switch]:
    """Return what the tenant has set for itself."""
    mine = select(col(Row.guard), col(Row.stage), col(Row.action)).order_by(col(Row.guard), col(Row.stage))
    async with (await database()).transaction(tenant_id, even_suspended=True) as connection:
        return [Switch.model_validate(dict(row)) for row in (await connection.execute(mine)).mappings()]


@step
async def switch_guard(switch: Switch, tenant_id: UUID) -> None:
    """Set what a guard does for this tenant. Raises UnknownGuard."""
    values = checked_switch(switch).model_dump()
    store = postgresql.insert(Row).values(tenant_id=tenant_id, **values)
    store = store.on_conflict_do_update(
        index_elements=["tenant_id", "guard", "stage"], set_={"action": store.excluded.action}
    )
    async with (await database()).transaction(tenant_id) as connection:
        await connection.execute(store)
    _known.pop(tenant_id, None)


@step
async def reset_guard(guard: str, stage: str, tenant_id: UUID) -> None:
    """Let a guard do again for this tenant what it does for everybody."""
    async with (await database()).transaction(tenant_id) as connection:
        await connection.execute(delete(Row).where(col(Row.guard) == guard, col(Row.stage) == stage))
    _known.pop(tenant_id, None)
