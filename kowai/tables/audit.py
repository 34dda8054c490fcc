"""Who did what: rows that the application may add and read, and nothing else."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint
from sqlmodel import Field

from kowai.tables.rows import Row, moment


class AuditEntry(Row, table=True):
    """Chain one deed to the tenant's deed before it; `number` counts them from 1 without a gap."""

    __table_args__ = (PrimaryKeyConstraint("tenant_id", "number"),)

    tenant_id: UUID = Field(foreign_key="tenant.id", ondelete="CASCADE")
    number: int = Field(sa_column=Column(BigInteger, nullable=False))
    at: datetime | None = moment(nullable=False)
    actor: UUID | None = Field(default=None, description="The user or key.")
    name: str = Field(max_length=254, description="The user's e-mail address or the key's name at that time.")
    permission: str = Field(max_length=50)
    action: str = Field(max_length=10, description="The HTTP method.")
    target: str = Field(max_length=500, description="The path, without its query.")
    status: int
    address: str = Field(max_length=100, description="The network address it came from.")
    previous: str = Field(max_length=64)
    hash: str = Field(max_length=64)
