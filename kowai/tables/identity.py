"""Who asks: tenants and the keys that act for them."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlmodel import Field

from kowai.tables.rows import Row, TenantRow, moment


class Tenant(Row, table=True):
    """Own every other row. `name` is what people type; a suspended tenant may do nothing."""

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    name: str = Field(unique=True, max_length=63)
    suspended: bool = False
    created_at: datetime | None = moment(nullable=False)


class ApiKey(TenantRow, table=True):
    """Let a program act for a tenant; only the SHA-256 of the key is kept."""

    name: str = Field(max_length=100)
    digest: str = Field(unique=True, max_length=64)
    role: str = Field(default="admin", max_length=20)
    expires_at: datetime | None = moment()
    revoked_at: datetime | None = moment()
