"""The tenants that nightly work is done for, one after the other."""

from collections.abc import Awaitable, Callable
from uuid import UUID

from sqlmodel import col, select

from blocks.connections import database
from kowai.errors import NotFound
from kowai.tables.identity import Tenant
from tasks.step import step


@step
async def find_tenants(name: str | None) -> list[UUID]:
    """Return the ids of all tenants that are not suspended, or of the one people call `name`. Raises NotFound."""
    wanted = select(col(Tenant.id)).order_by(col(Tenant.name))
    wanted = wanted.where(col(Tenant.name) == name) if name else wanted.where(~col(Tenant.suspended))
    async with (await database()).connection() as connection:
        found = list(await connection.scalars(wanted))
    if name and not found:
        raise NotFound(f"There is no tenant '{name}'.")
    return found


async def for_each(tenants: list[UUID], work: Callable[[UUID], Awaitable[object]]) -> None:
    """Do the work for every tenant; one that fails stops no other. Raises the first failure at the end."""
    failures: list[Exception] = []
    for tenant_id in tenants:
        try:
            await work(tenant_id)
        except Exception as error:
            failures.append(error)
    if failures:
        raise failures[0]
