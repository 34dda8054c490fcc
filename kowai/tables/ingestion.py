"""What is being learned: sources, runs over them, and where every accepted item ended."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Field

from kowai.tables.rows import TenantRow, computed, document_of, moment


class Source(TenantRow, table=True):
    """Remember where documents come from, how they are handled, when it is walked again and what the last walk left."""

    __table_args__ = (
        UniqueConstraint("tenant_id", "uri"),
        CheckConstraint("vanished in ('keep', 'mark', 'remove')", name="known_policy"),
        Index("ix_source_due", "tenant_id", "due_at", postgresql_where=text("active")),
    )

    uri: str
    kind: str = Field(default="path", max_length=20, sa_column_kwargs={"server_default": "path"})
    options: dict[str, Any] = document_of("{}")
    handling: dict[str, Any] = document_of("{}")
    cron: str | None = Field(default=None, max_length=100, description="When it is walked; null: every night.")
    timezone: str = Field(default="UTC", max_length=64, sa_column_kwargs={"server_default": "UTC"})
    active: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})
    vanished: str = Field(default="keep", max_length=10, sa_column_kwargs={"server_default": "keep"})
    marks: dict[str, Any] = document_of("{}")
    due_at: datetime | None = moment(nullable=False)
    walked_at: datetime | None = moment()


class Ingestion(TenantRow, table=True):
    """Record one request to ingest `sources`; its counts are those of its items."""

    __table_args__ = (
        Index("ix_ingestion_sources", "sources", postgresql_using="gin", postgresql_ops={"sources": "jsonb_path_ops"}),
    )

    sources: list[Any] = document_of("[]")
    walks: dict[str, Any] | None = document_of("null")
    flow_run_id: UUID | None = None
    finished_at: datetime | None = moment()


class IngestionItem(TenantRow, table=True):
    """Follow one accepted document until it is indexed, unchanged, or quarantined or dead with a cause."""

    __table_args__ = (
        UniqueConstraint("ingestion_id", "uri"),
        CheckConstraint(
            "state in ('queued', 'running', 'indexed', 'unchanged', 'quarantined', 'dead')", name="known_state"
        ),
        CheckConstraint("(state in ('quarantined', 'dead')) = (cause is not null)", name="dead_has_cause"),
        Index("ix_ingestion_item_state", "ingestion_id", "state"),
        Index("ix_ingestion_item_external_id", "tenant_id", "external_id"),
        Index("ix_ingestion_item_original", "original", postgresql_where=text("original is not null")),
        Index("ix_ingestion_item_source", "tenant_id", "source_id", "state"),
        Index(
            "ix_ingestion_item_unfinished",
            "tenant_id",
            "state",
            postgresql_where=text("state in ('queued', 'running', 'dead')"),
        ),
    )

    ingestion_id: UUID = Field(foreign_key="ingestion.id", ondelete="CASCADE")
    source_id: UUID | None = Field(default=None, description="The stored source it was found in, if in one.")
    uri: str
    external_id: str | None = computed("coalesce(details ->> 'external_id', uri)")
    original: str | None = computed("details ->> 'original'")
    state: str = Field(default="queued", max_length=20)
    cause: str | None = Field(default=None, max_length=50)
    sentence: str | None = None
    attempts: int = 0
    claimed_at: datetime | None = moment()
    claimed_by: int | None = Field(default=None, description="The number of the run that reads it, for at_work().")
    document_id: UUID | None = None
    details: dict[str, Any] = document_of("{}")
