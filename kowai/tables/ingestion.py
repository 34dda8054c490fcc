"""What is being learned: sources, runs over them, and where every accepted item ended."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlmodel import Field

from kowai.tables.rows import TenantRow, document_of, moment


class Source(TenantRow, table=True):
    """Remember a folder, glob, file or URL so that the nightly ingestion walks it again."""

    __table_args__ = (UniqueConstraint("tenant_id", "uri"),)

    uri: str


class Ingestion(TenantRow, table=True):
    """Record one request to ingest `sources`; its counts are those of its items."""

    sources: list[Any] = document_of("[]")
    flow_run_id: UUID | None = None
    finished_at: datetime | None = moment()


class IngestionItem(TenantRow, table=True):
    """Follow one accepted document until it is indexed, unchanged or dead with a cause."""

    __table_args__ = (
        UniqueConstraint("ingestion_id", "uri"),
        CheckConstraint("state in ('queued', 'running', 'indexed', 'unchanged', 'dead')", name="known_state"),
        CheckConstraint("(state = 'dead') = (cause is not null)", name="dead_has_cause"),
        Index("ix_ingestion_item_state", "ingestion_id", "state"),
    )

    ingestion_id: UUID = Field(foreign_key="ingestion.id", ondelete="CASCADE")
    uri: str
    state: str = Field(default="queued", max_length=20)
    cause: str | None = Field(default=None, max_length=50)
    sentence: str | None = None
    attempts: int = 0
    claimed_at: datetime | None = moment()
    document_id: UUID | None = None
    details: dict[str, Any] = document_of("{}")
