"""What each tenant, user and key may ask for, and how much of it is used up."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import PrimaryKeyConstraint
from sqlmodel import Field

from kowai.tables.rows import Row, TenantRow, moment


class Allowance(Row, table=True):
    """Set limits of one subject, a user, a key or the tenant itself; null leaves the setting's, which others have."""

    __table_args__ = (PrimaryKeyConstraint("tenant_id", "subject"),)

    tenant_id: UUID = Field(foreign_key="tenant.id", ondelete="CASCADE")
    subject: UUID = Field(description="A user's, a key's or the tenant's id.")
    requests_per_minute: int | None = None
    streams: int | None = Field(default=None, description="Answers streamed at once.")
    tokens_per_day: int | None = Field(default=None, description="Model tokens, in and out, per UTC day.")


class RequestRate(Row, table=True):
    """Say until when a subject's requests so far keep it busy, at its rate; losing it forgives a minute's requests."""

    __table_args__ = (PrimaryKeyConstraint("tenant_id", "subject"), {"prefixes": ["UNLOGGED"]})

    tenant_id: UUID
    subject: UUID
    busy_until: datetime | None = moment(nullable=False)


class OpenStream(TenantRow, table=True):
    """Count one answer that is being streamed to a subject, until its lease runs out."""

    subject: UUID
    leased_until: datetime | None = moment(nullable=False)
