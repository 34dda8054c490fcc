"""Clear what one machine's state holds of tenants and sources; each does so itself, for the outbox reaches but one."""

import asyncio
import re
import shutil
from pathlib import Path
from uuid import UUID

from sqlalchemy import text
from sqlmodel import col, select

from blocks.connections import database
from blocks.sources import git
from kowai.errors import Unavailable
from kowai.tables.identity import Tenant
from tasks import spool
from tasks.accounts import sweep
from tasks.step import step
from tasks.tenants import for_each

IS_ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
READ_FROM = text("""
select uri from source union select details ->> 'repository' from ingestion_item
where state in ('queued', 'running', 'dead') and details ->> 'repository' is not null
""")


async def clear_machine() -> None:
    """Remove what is kept here of erased tenants and dropped repositories, and settle what dead processes left."""
    held = await asyncio.to_thread(_held)  # before it is asked which tenants there are: a new one may come any moment
    async with (await database()).connection() as connection:
        rows = await connection.execute(select(col(Tenant.id), col(Tenant.suspended)))
        suspended: dict[UUID, bool] = {row.id: row.suspended for row in rows}

    async def clear(tenant_id: UUID) -> None:
        if tenant_id not in suspended:
            await asyncio.to_thread(clear_tenant, tenant_id)
        elif not suspended[tenant_id]:
            await _drop_repositories(tenant_id)
            await sweep(tenant_id)

    await for_each(held, clear)


def clear_tenant(tenant_id: UUID) -> None:
    """Remove repositories that were fetched, and replies on their way. Raises Unavailable while some are left."""
    for folder in _folders(tenant_id):
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise Unavailable("Files of an erased tenant could not be removed.", operator=str(error)) from error


@step
async def sweep_repositories(tenant_id: UUID) -> int:
    """Remove what this machine has fetched of repositories that nothing is read from any more; return how many."""
    return await _drop_repositories(tenant_id)


async def _drop_repositories(tenant_id: UUID) -> int:
    place = git.fetched(tenant_id)
    found = await asyncio.to_thread(lambda: list(place.iterdir()) if place.is_dir() else [])
    async with (await database()).transaction(tenant_id) as connection:
        needed = {git.fetched_as(uri) for uri in await connection.scalars(READ_FROM)}
    unneeded = [folder for folder in found if folder.name not in needed]
    for folder in unneeded:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)  # another process may be at it as well
    return len(unneeded)


def _folders(tenant_id: UUID) -> tuple[Path, Path]:
    return git.fetched(tenant_id), spool.folder(tenant_id)


def _held() -> list[UUID]:
    """Return the tenants that this machine's state holds anything of."""
    places = [folder.parent for folder in _folders(UUID(int=0))]
    found = {path.name for place in places if place.is_dir() for path in place.iterdir() if path.is_dir()}
    return [UUID(name) for name in sorted(found) if IS_ID.fullmatch(name)]
