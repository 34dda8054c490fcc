"""What differs between callers: flags, experiments and who was exposed to which arm."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Field

from kowai.tables.rows import TenantRow, document_of, moment


class FlagRow(TenantRow, table=True):
    """Hold one flag as `kowai.flags.Flag` describes it."""

    __table_args__ = (UniqueConstraint("tenant_id", "name"),)

    name: str = Field(max_length=80)
    content: dict[str, Any] = document_of("{}")


class Experiment(TenantRow, table=True):
    """Split a slot's traffic between what was live and a candidate until one is better; a null control is the files."""

    __table_args__ = (
        CheckConstraint("outcome in ('won', 'lost', 'stopped')", name="known_experiment_outcome"),
        CheckConstraint("share > 0 and share < 1", name="possible_share"),
        Index("ix_experiment_running", "tenant_id", "slot", unique=True, postgresql_where=text("outcome is null")),
    )

    slot: str = Field(max_length=80)
    version_id: UUID = Field(foreign_key="setting_version.id", ondelete="CASCADE")
    control_id: UUID | None = None
    share: float = Field(description="The candidate's part of the traffic.")
    unit: str = Field(max_length=20, description="What stays in its arm: a conversation or a caller.")
    metric: str = Field(max_length=20)
    alpha: float
    made_by: UUID | None = None
    outcome: str | None = Field(default=None, max_length=20)
    sentence: str | None = None
    found: dict[str, Any] = document_of("{}")
    finished_at: datetime | None = moment()


class Exposure(TenantRow, table=True):
    """Say which arm of an experiment answered a question. It is never changed."""

    __table_args__ = (UniqueConstraint("experiment_id", "query_id"),)

    experiment_id: UUID = Field(foreign_key="experiment.id", ondelete="CASCADE")
    query_id: UUID = Field(index=True)
    unit: UUID
    arm: str = Field(max_length=20)
