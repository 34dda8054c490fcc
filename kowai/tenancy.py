"""Two locks on a tenant: the setting every transaction carries, and the policies PostgreSQL holds it to."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import Table

from kowai.errors import TenantMissing

APPLICATION_ROLE = "kowai_app"

# A missing tenant is an error, never "all": after a transaction the setting is '' rather than null.
CURRENT_TENANT = """
create or replace function current_tenant() returns uuid language plpgsql stable parallel safe as $$
declare value text := nullif(current_setting('app.tenant', true), '');
begin
  if value is null then
    raise exception 'no tenant is set' using errcode = 'insufficient_privilege';
  end if;
  return value::uuid;
end $$
"""

SUSPENDED = "KW001"
REFUSE_SUSPENDED = f"""
create or replace function refuse_suspended(id_of_tenant uuid) returns void language plpgsql stable as $$
begin
  if exists (select from tenant t where t.id = id_of_tenant and t.suspended) then
    raise exception 'this tenant is suspended' using errcode = '{SUSPENDED}';
  end if;
end $$
"""


# Go over to another tenant inside a transaction: for the few acts that concern all of them.
ENTER = "select set_config('app.tenant', :id, true)"


def locks(table: str, column: str = "tenant_id") -> Iterable[str]:
    """Return the statements that let a row of `table` be seen and written by its own tenant only."""
    mine = f"{column} = (select current_tenant())"  # a sub-select is evaluated once per statement
    yield f"alter table {table} enable row level security"
    yield f"alter table {table} force row level security"
    yield f"create policy own_tenant on {table} using ({mine}) with check ({mine})"


def is_tenant_owned(table: Table) -> bool:
    return "tenant_id" in table.columns


ENTRY = "select set_config('app.tenant', %(tenant)s, true), set_config('synchronous_commit', %(commit)s, true)"
UNLESS_SUSPENDED = ", refuse_suspended(%(id)s)"
# Planned once a connection, when tables may be so small that reading them whole is cheapest: it is not for long.
BY_KEY = ", set_config('plan_cache_mode', 'force_generic_plan', true), set_config('enable_seqscan', 'off', true)"


def entry(
    tenant_id: UUID | None, *, durable: bool = True, even_suspended: bool = False, by_key: bool = False
) -> tuple[str, dict[str, Any]]:
    """Return what binds a transaction to one tenant, a statement and its values. Raises TenantMissing for None.

    One that is not `durable` may be undone by a power cut in the second after it; it never waits for the disk.
    """
    if tenant_id is None:
        raise TenantMissing("This request belongs to no tenant.")
    statement = ENTRY + BY_KEY if by_key else ENTRY
    values: dict[str, Any] = {"tenant": str(UUID(str(tenant_id))), "commit": "on" if durable else "off"}
    if even_suspended:
        return statement, values
    return statement + UNLESS_SUSPENDED, values | {"id": UUID(values["tenant"])}
