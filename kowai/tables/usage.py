"""What was done, by whom and when: never what was said."""

from uuid import UUID

from sqlalchemy import Index
from sqlmodel import Field

from kowai.tables.rows import TenantRow


class UsageEvent(TenantRow, table=True):
    """Note that a question ended or an answer was rated. Triggers write it, and nobody may change it."""

    __table_args__ = (Index("ix_usage_event_moment", "tenant_id", "created_at"),)

    kind: str = Field(max_length=20, description="answered, refused, failed, stopped, liked or disliked.")
    actor: UUID | None = Field(default=None, description="The user or key; null where nobody in particular asked.")
    persona: str | None = Field(default=None, max_length=50)
