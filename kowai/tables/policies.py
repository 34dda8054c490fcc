"""How a tenant's guards differ from everybody's."""

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from kowai.tables.rows import TenantRow


class GuardSwitch(TenantRow, table=True):
    """Set what one guard does at one stage for one tenant."""

    __table_args__ = (UniqueConstraint("tenant_id", "guard", "stage"),)

    guard: str = Field(max_length=50)
    stage: str = Field(max_length=20)
    action: str = Field(max_length=20)
