"""Documents that a guard held back, until somebody has looked at them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlmodel import Field

from kowai.tables.rows import TenantRow, document_of, moment


class Quarantine(TenantRow, table=True):
    """Keep the passages that a guard saw in one content of a document, and what was decided about that content."""

    __table_args__ = (
        UniqueConstraint("tenant_id", "external_id", "content_hash"),
        CheckConstraint("state in ('waiting', 'released', 'rejected')", name="known_quarantine_state"),
        Index("ix_quarantine_state", "tenant_id", "state", "created_at"),
    )

    item_id: UUID | None = Field(default=None, foreign_key="ingestion_item.id", ondelete="SET NULL", index=True)
    external_id: str
    content_hash: str = Field(max_length=64)
    title: str | None = None
    passages: list[Any] = document_of("[]")
    state: str = Field(default="waiting", max_length=20)
    reviewed_by: UUID | None = None
    reviewed_at: datetime | None = moment()
