"""Tenants: made, listed, suspended, and erased with a certificate."""

import re
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from anyio import to_thread
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from blocks.connections import bucket, database
from kowai import erasure
from kowai.erasure import name_hash
from kowai.errors import InvalidInput, KowaiError, NotFound
from kowai.tables.identity import Tenant
from kowai.tables.ledger import Outbox
from kowai.tenancy import ENTER
from kowai.tenant_tables import tenant_tables
from kowai.types import Value
from tasks import outbox
from tasks.clear import clear_tenant
from tasks.forget import Certificate, certify
from tasks.mirror import erase_mirror

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
REMOVAL = "remove-tenant"
COLUMNS: list[Any] = [getattr(Tenant, name) for name in ("id", "name", "suspended", "created_at")]
MAY_DELETE = text("select has_table_privilege(:table, 'delete')")


class TenantExists(KowaiError):
    code, http_status = "tenant_exists", 409


class TenantActive(KowaiError):
    code, http_status = "tenant_active", 409


class TenantView(Value):
    """Show a tenant."""

    id: UUID
    name: str
    suspended: bool
    created_at: datetime


async def add_tenant(name: str) -> TenantView:
    """Make a tenant. Raises InvalidInput for an unusable name, and TenantExists."""
    if not NAME.fullmatch(name):
        raise InvalidInput("A tenant's name has up to 63 characters: a-z, 0-9 and hyphens; it does not begin with one.")
    tenant_id = uuid4()
    try:
        async with (await database()).transaction(tenant_id) as connection:
            await connection.execute(insert(Tenant).values(id=tenant_id, name=name, suspended=False))
    except IntegrityError as error:
        raise TenantExists(f"There is a tenant '{name}' already.") from error
    return await read_tenant(tenant_id)


async def list_tenants() -> list[TenantView]:
    async with (await database()).connection() as connection:
        rows = await connection.execute(select(*COLUMNS).order_by(col(Tenant.name)))
        return [TenantView.model_validate(row, from_attributes=True) for row in rows]


async def read_tenant(tenant_id: UUID) -> TenantView:
    """Return one tenant. Raises NotFound."""
    found = [tenant for tenant in await list_tenants() if tenant.id == tenant_id]
    if not found:
        raise NotFound("There is no such tenant.")
    return found[0]


async def suspend_tenant(tenant_id: UUID, *, suspended: bool) -> TenantView:
    """Stop everything that a tenant does, requests and runs alike, or let it go on. Raises NotFound."""
    change = update(Tenant).where(col(Tenant.id) == tenant_id).values(suspended=suspended)
    async with (await database()).transaction(tenant_id, even_suspended=True) as connection:
        await connection.execute(change)
    return await read_tenant(tenant_id)


async def erase_tenant(tenant_id: UUID, *, requested_by: UUID, platform_id: UUID) -> Certificate:
    """Empty every table of a suspended tenant and certify it to the platform; its files follow by the outbox.

    Raises NotFound, and TenantActive for one that is not suspended.
    """
    if not (await read_tenant(tenant_id)).suspended:
        raise TenantActive("Suspend the tenant first: what works on goes on writing.")
    async with (await database()).transaction(tenant_id, even_suspended=True) as connection:
        await connection.execute(text(erasure.HOLD))  # an export that is being put away is removed with the files
        counts = await _emptied(connection, tenant_id)
        await connection.execute(text(ENTER), {"id": str(platform_id)})
        await connection.execute(text(erasure.HOLD))  # each certificate follows from one before it
        entry = {"id": uuid4(), "tenant_id": platform_id, "kind": REMOVAL, "payload": {"tenant": str(tenant_id)}}
        await connection.execute(insert(Outbox).values(**entry))
        facts = {
            "document_id": None,
            "name_hash": name_hash(platform_id, f"tenant {tenant_id}"),
            "requested_by": requested_by,
        }
        certificate = await certify(connection, facts | {"counts": counts}, platform_id)
    await remove_files(platform_id)
    return certificate


async def _emptied(connection: AsyncConnection, tenant_id: UUID) -> dict[str, int]:
    """Delete every row, and check that none is left; logs that nobody may delete from go with the tenant's own row."""
    tables, counts = tenant_tables(), dict[str, int]()
    await connection.execute(update(Tenant).where(col(Tenant.id) == tenant_id).values(mirrored=False))
    for table in tables:
        counts[table.name] = await connection.scalar(select(func.count()).select_from(table)) or 0
    for table in reversed(tables):
        if await connection.scalar(MAY_DELETE, {"table": table.name}):
            await connection.execute(delete(table))
    await connection.execute(delete(Tenant).where(col(Tenant.id) == tenant_id))
    for table in tables:
        left = await connection.scalar(select(func.count()).select_from(table))
        if left:
            raise KowaiError("The tenant could not be erased.", operator=f"{left} rows are left in {table.name}")
    return counts


async def remove_files(platform_id: UUID) -> None:
    """Remove the files of erased tenants and what was mirrored of them, as the outbox says.

    What other machines hold in their own state they clear themselves.
    """
    waiting = select(col(Outbox.id)).where(col(Outbox.kind) == REMOVAL, col(Outbox.delivered_at).is_(None))
    async with (await database()).transaction(platform_id) as connection:
        entries = list(await connection.scalars(waiting))
    async with outbox.delivery(entries, platform_id) as held:
        for entry_id, payload in held.payloads.items():
            await erase_mirror(UUID(payload["tenant"]))
            await bucket().erase(UUID(payload["tenant"]))
            await to_thread.run_sync(clear_tenant, UUID(payload["tenant"]))
            held.delivered.add(entry_id)
