"""What may answer and what does: versions, which never change, the live one of each slot, and who decided it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, PrimaryKeyConstraint, UniqueConstraint
from sqlmodel import Field

from kowai.tables.rows import Row, TenantRow, document_of, moment


class SettingVersion(TenantRow, table=True):
    """Hold one content of a slot, such as prompt:assistant. It is never changed."""

    __table_args__ = (UniqueConstraint("tenant_id", "slot", "number"), UniqueConstraint("tenant_id", "slot", "digest"))

    slot: str = Field(max_length=80)
    number: int
    digest: str = Field(max_length=64)
    content: dict[str, Any] = document_of("{}")
    lineage: dict[str, Any] = document_of("{}")
    made_by: UUID | None = None


class LiveSetting(Row, table=True):
    """Say which version of a slot answers; without a row it is what the files and blocks say."""

    __table_args__ = (PrimaryKeyConstraint("tenant_id", "slot"),)

    tenant_id: UUID = Field(foreign_key="tenant.id", ondelete="CASCADE")
    slot: str = Field(max_length=80)
    version_id: UUID = Field(foreign_key="setting_version.id")
    since: datetime | None = moment(nullable=False)


class Promotion(TenantRow, table=True):
    """Follow a candidate through the gate; a null incumbent is what the files and blocks say."""

    __table_args__ = (
        CheckConstraint("outcome in ('promoted', 'refused', 'broken', 'rolled_back')", name="known_promotion_outcome"),
    )

    version_id: UUID = Field(foreign_key="setting_version.id", ondelete="CASCADE")
    incumbent_id: UUID | None = None
    suite_id: UUID = Field(foreign_key="suite.id", ondelete="CASCADE")
    candidate_evaluation_id: UUID
    incumbent_evaluation_id: UUID
    outcome: str | None = Field(default=None, max_length=20)
    sentence: str | None = None
    comparison: dict[str, Any] = document_of("{}")
    finished_at: datetime | None = moment()
