"""Roll back what went live when people or the judge think less of its answers than of those before."""

from typing import Any

from prefect import flow
from prefect.states import Completed

from tasks.promote import roll_back
from tasks.receive import find_tenant
from tasks.watch import look_back, read_watched


@flow(name="watch-live", persist_result=False)
async def watch_live(tenant: str = "default") -> Any:
    """Compare live scores before and after each promotion, and make the version before live again where they fell.

    Args:
        tenant: Whose answers are watched.
    """
    tenant_id = await find_tenant(tenant)
    watched = await read_watched(tenant_id)
    rolled_back = 0
    for each in watched:
        reason = await look_back(each, tenant_id)
        if reason is not None and await roll_back(each.promotion_id, tenant_id, reason):
            rolled_back += 1
    if rolled_back:
        return Completed(name="Rolled back", message=f"{rolled_back:,} of {len(watched):,} versions were rolled back.")
    return Completed(message=f"{len(watched):,} versions were watched.")
