"""What each subject of a tenant is allowed: read, and set by those who may."""

from decimal import Decimal
from typing import Literal
from uuid import UUID

from pydantic import Field
from sqlalchemy import text

from blocks.connections import database
from kowai.errors import NotFound
from kowai.pricing import Dollars
from kowai.types import Value

MOST = 2**31 - 1
LARGEST_AMOUNT = Decimal(100_000_000)

FOUND = text("""
select s.id as subject, s.kind, s.name, s.role, a.requests_per_minute, a.streams, a.tokens_per_day,
  case when s.kind = 'tenant' then b.request_limit end as dollars_per_request,
  case when s.kind = 'tenant' then b.daily_limit end as dollars_per_day,
  case when s.kind = 'tenant' then b.approve_above end as approve_above
from (
  select id, 'tenant' as kind, name, 'platform_admin' as role from tenant where id = :tenant
  union all select id, 'user', email, role from user_account
  union all select id, 'key', name, role from api_key where revoked_at is null
) s
left join allowance a on a.tenant_id = :tenant and a.subject = s.id
left join budget b on b.tenant_id = :tenant
where cast(:subject as uuid) is null or s.id = :subject
order by s.kind <> 'tenant', s.kind, s.name, s.id
""")
SET = text("""
insert into allowance (tenant_id, subject, requests_per_minute, streams, tokens_per_day)
values (:tenant, :subject, :requests_per_minute, :streams, :tokens_per_day)
on conflict (tenant_id, subject) do update set requests_per_minute = excluded.requests_per_minute,
  streams = excluded.streams, tokens_per_day = excluded.tokens_per_day
""")
SET_BUDGET = text("""
insert into budget (tenant_id, request_limit, daily_limit, approve_above)
values (:tenant, :dollars_per_request, :dollars_per_day, :approve_above)
on conflict (tenant_id) do update set request_limit = excluded.request_limit, daily_limit = excluded.daily_limit,
  approve_above = excluded.approve_above
""")


class Limits(Value):
    """Limit one subject; null leaves what everybody has."""

    requests_per_minute: int | None = Field(None, ge=1, le=60_000)
    streams: int | None = Field(None, ge=0, le=MOST, description="Answers streamed at once.")
    tokens_per_day: int | None = Field(None, ge=0, le=MOST, description="Model tokens, in and out, per UTC day.")


class TenantLimits(Limits):
    """Limit a whole tenant, in US dollars as well."""

    dollars_per_request: Dollars | None = Field(None, ge=0, le=LARGEST_AMOUNT, decimal_places=9)
    dollars_per_day: Dollars | None = Field(None, ge=0, le=LARGEST_AMOUNT, decimal_places=9)
    approve_above: Dollars | None = Field(
        None,
        ge=0,
        le=LARGEST_AMOUNT,
        decimal_places=9,
        description="What could cost more waits for approval, whatever threshold is asked for.",
    )


class AllowanceView(TenantLimits):
    """Show what is set for a tenant, a user or a key; dollars are a tenant's only."""

    subject: UUID
    kind: Literal["tenant", "user", "key"]
    name: str
    role: str


async def list_allowances(tenant_id: UUID) -> list[AllowanceView]:
    """Return the tenant's own and those of its users and keys."""
    return await _found(tenant_id, None)


async def find_allowance(subject: UUID, tenant_id: UUID) -> AllowanceView:
    """Return what is set for one subject. Raises NotFound."""
    found = await _found(tenant_id, subject)
    if not found:
        raise NotFound("There is no such user or key.")
    return found[0]


async def set_limits(limits: Limits, subject: UUID, tenant_id: UUID) -> AllowanceView:
    """Replace what a user, a key or the tenant itself may ask for; its next request is counted by it."""
    async with (await database()).transaction(tenant_id, even_suspended=True) as connection:
        own = limits.model_dump(include=set(Limits.model_fields))
        await connection.execute(SET, {"tenant": tenant_id, "subject": subject} | own)
        if isinstance(limits, TenantLimits):
            dollars = limits.model_dump(include=TenantLimits.model_fields.keys() - Limits.model_fields)
            await connection.execute(SET_BUDGET, {"tenant": tenant_id} | dollars)
    return await find_allowance(subject, tenant_id)


async def _found(tenant_id: UUID, subject: UUID | None) -> list[AllowanceView]:
    async with (await database()).transaction(tenant_id, even_suspended=True) as connection:
        rows = (await connection.execute(FOUND, {"tenant": tenant_id, "subject": subject})).mappings()
        return [AllowanceView.model_validate(dict(row)) for row in rows]
