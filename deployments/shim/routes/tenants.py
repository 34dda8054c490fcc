"""Tenants, as the platform's admins see them, and the export that each tenant's own admins may take."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from deployments.shim.identity import Principal, may
from kowai.errors import Forbidden, InvalidInput
from tasks import api_keys, hosting
from tasks.export_tenant import Export, export_tenant, read_export
from tasks.forget import Certificate
from tasks.hosting import TenantView

router = APIRouter(prefix="/api/v1", tags=["tenants"])

Platform = Annotated[Principal, Depends(may("tenants.manage"))]
Exporter = Annotated[Principal, Depends(may("tenant.export"))]


class NewTenant(BaseModel):
    """Make a tenant; it is called by this name from then on."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "acme"}]})

    name: str = Field(max_length=63)


class MadeTenant(BaseModel):
    """Hold the tenant and its first admin's key, shown this once."""

    tenant: TenantView
    key: str


class Suspension(BaseModel):
    model_config = ConfigDict(extra="forbid")

    suspended: bool = Field(description="True stops every request and every run of the tenant at once.")


class Confirmation(BaseModel):
    """Repeat the tenant's name: this cannot be undone."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=63)


@router.post("/tenants", status_code=201)
async def add_tenant(new: NewTenant, caller: Platform) -> MadeTenant:
    """Make a tenant and the key of its first admin."""
    tenant = await hosting.add_tenant(new.name)
    wanted = api_keys.NewKey("first key", "admin", None, caller.id, None)
    _, key = await api_keys.make_key(wanted, tenant.id)
    return MadeTenant(tenant=tenant, key=key)


@router.get("/tenants")
async def list_tenants(caller: Platform) -> list[TenantView]:
    """List all tenants."""
    return await hosting.list_tenants()


@router.patch("/tenants/{tenant_id}")
async def suspend_tenant(tenant_id: UUID, change: Suspension, caller: Platform) -> TenantView:
    """Suspend a tenant, or let it go on."""
    _check_other(tenant_id, caller)
    return await hosting.suspend_tenant(tenant_id, suspended=change.suspended)


@router.delete("/tenants/{tenant_id}")
async def erase_tenant(tenant_id: UUID, confirmed: Confirmation, caller: Platform) -> Certificate:
    """Erase a suspended tenant, files included; the certificate counts what was deleted from every table."""
    _check_other(tenant_id, caller)
    if (await hosting.read_tenant(tenant_id)).name != confirmed.name:
        raise InvalidInput("This is not the tenant's name, so nothing was erased.")
    return await hosting.erase_tenant(tenant_id, requested_by=caller.id, platform_id=caller.tenant_id)


@router.post("/tenants/{tenant_id}/export")
async def export_other(tenant_id: UUID, caller: Platform) -> Export:
    """Export everything of a tenant, suspended or not."""
    await hosting.read_tenant(tenant_id)
    return await export_tenant(tenant_id)


@router.get("/tenants/{tenant_id}/exports/{name}", response_class=StreamingResponse)
async def fetch_other(tenant_id: UUID, name: str, caller: Platform) -> StreamingResponse:
    """Fetch an export of a tenant."""
    return StreamingResponse(await read_export(name, tenant_id), media_type="application/zip")


@router.post("/export")
async def export_own(caller: Exporter) -> Export:
    """Export everything of your tenant: a JSON Lines file for each table, and the originals."""
    return await export_tenant(caller.tenant_id)


@router.get("/exports/{name}", response_class=StreamingResponse)
async def fetch_own(name: str, caller: Exporter) -> StreamingResponse:
    """Fetch an export of your tenant."""
    return StreamingResponse(await read_export(name, caller.tenant_id), media_type="application/zip")


def _check_other(tenant_id: UUID, caller: Principal) -> None:
    if tenant_id == caller.tenant_id:
        raise Forbidden("Nobody suspends or erases the tenant they act for.")
