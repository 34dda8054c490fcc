"""What a tenant, its users and its keys may ask for, and how much of it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends

from deployments.shim.identity import Principal, may
from kowai.errors import Forbidden
from kowai.permissions import at_least
from tasks import allowances, hosting
from tasks.allowances import AllowanceView, Limits, TenantLimits

router = APIRouter(prefix="/api/v1", tags=["allowances"])

Admin = Annotated[Principal, Depends(may("limits.manage"))]
Platform = Annotated[Principal, Depends(may("tenants.manage"))]


@router.get("/allowances")
async def list_allowances(caller: Admin) -> list[AllowanceView]:
    """List what is set for your tenant, its users and its keys; null: what everybody has."""
    return await allowances.list_allowances(caller.tenant_id)


@router.put("/allowances/{subject}")
async def set_limits(subject: UUID, limits: Limits, caller: Admin) -> AllowanceView:
    """Limit a user or a key of your tenant; what the tenant has as a whole, the platform's admins decide."""
    found = await allowances.find_allowance(subject, caller.tenant_id)
    if not at_least(caller.role, found.role):
        raise Forbidden(f"Only a {found.role} may decide about this {found.kind}; your role is {caller.role}.")
    return await allowances.set_limits(limits, subject, caller.tenant_id)


@router.get("/tenants/{tenant_id}/allowance")
async def get_tenant_allowance(tenant_id: UUID, caller: Platform) -> AllowanceView:
    """Return what is set for a tenant as a whole."""
    await hosting.read_tenant(tenant_id)
    return await allowances.find_allowance(tenant_id, tenant_id)


@router.put("/tenants/{tenant_id}/allowance")
async def set_tenant_limits(tenant_id: UUID, limits: TenantLimits, caller: Platform) -> AllowanceView:
    """Limit a tenant as a whole in requests, streams, tokens and US dollars."""
    await hosting.read_tenant(tenant_id)
    return await allowances.set_limits(limits, tenant_id, tenant_id)
