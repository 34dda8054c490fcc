"""How a tenant's guards and retention differ from everybody's."""

from uuid import UUID

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field

from kowai.tables.rows import Row, TenantRow


class GuardSwitch(TenantRow, table=True):
    """Set what one guard does at one stage for one tenant."""

    __table_args__ = (UniqueConstraint("tenant_id", "guard", "stage"),)

    guard: str = Field(max_length=50)
    stage: str = Field(max_length=20)
    action: str = Field(max_length=20)


class Retention(Row, table=True):
    """Say how long one tenant's replaced versions are kept; both null: all of them, for ever."""

    __table_args__ = (CheckConstraint("keep_versions >= 1 and keep_days >= 1", name="keeps_something"),)

    tenant_id: UUID = Field(foreign_key="tenant.id", ondelete="CASCADE", primary_key=True)
    keep_versions: int | None = None
    keep_days: int | None = None
