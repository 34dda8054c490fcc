"""The first tenant and the platform admin's key, from the secret that the first start made."""

from sqlalchemy.dialects import postgresql

from blocks.connections import database
from kowai.keys import parse_key
from kowai.settings import settings
from kowai.tables.identity import ApiKey, Tenant

TENANT = "default"


async def ensure_first_key() -> None:
    """Store the tenant and the digest of the key that lies in the state's secrets, if they are not there yet."""
    path = settings().secrets / "api-key"
    if not path.exists():
        return
    key = parse_key(path.read_text())
    names = (TENANT, f"{TENANT}-{key.tenant_id.hex[:8]}")  # the first may belong to another state's tenant
    tenants = [postgresql.insert(Tenant).values(id=key.tenant_id, name=name, suspended=False) for name in names]
    row = {"tenant_id": key.tenant_id, "name": "first key", "digest": key.digest, "role": "platform_admin"}
    insert = postgresql.insert(ApiKey).values(row)
    async with (await database()).transaction(key.tenant_id) as connection:
        for tenant in tenants:
            await connection.execute(tenant.on_conflict_do_nothing())
        await connection.execute(insert.on_conflict_do_update(index_elements=["digest"], set_={"role": row["role"]}))
