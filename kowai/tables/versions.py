"""What may answer and what does: versions, which never change, the live one of each slot, and who decided it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, PrimaryKeyConstraint, UniqueConstraint, text
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
    held_out: bool = Field(
        default=False,
        sa_column_kwargs={"server_default": text("false")},
        description="Whether only the half of the suite decides that nothing was learned from.",
    )
    candidate_evaluation_id: UUID
    incumbent_evaluation_id: UUID
    outcome: str | None = Field(default=None, max_length=20)
    sentence: str | None = None
    comparison: dict[str, Any] = document_of("{}")
    finished_at: datetime | None = moment()


class Optimisation(TenantRow, table=True):
    """Follow the search for a better prompt; the promotion of what it found has the same id."""

    __table_args__ = (
        CheckConstraint("outcome in ('improved', 'no_gain', 'refused', 'broken')", name="known_optimisation_outcome"),
    )

    suite_id: UUID = Field(foreign_key="suite.id", ondelete="CASCADE")
    persona: str = Field(max_length=50)
    optimiser: str = Field(max_length=50)
    limits: dict[str, Any] = document_of("{}")
    requested_by: UUID | None = None
    documents: list[Any] = document_of("[]")  # the ids of those whose passages it learned from
    version_id: UUID | None = None
    outcome: str | None = Field(default=None, max_length=20)
    stopped_by: str | None = Field(default=None, max_length=20, description="The limit that ended it, if one did.")
    sentence: str | None = None
    lineage: dict[str, Any] = document_of("{}")
    artefact: dict[str, Any] = document_of("{}")
    finished_at: datetime | None = moment()
