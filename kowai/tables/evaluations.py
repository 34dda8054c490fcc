"""What is measured: suites and their cases, which never change, and what each evaluation of one found."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Field

from kowai.tables.rows import TenantRow, document_of, moment


class SuiteRow(TenantRow, table=True):
    """Name one version of a suite; its questions are the question set of the same id. It is never changed."""

    __table_args__ = (UniqueConstraint("tenant_id", "name", "version"), UniqueConstraint("tenant_id", "name", "digest"))

    name: str = Field(max_length=100)
    version: int
    digest: str = Field(max_length=64)
    about: dict[str, Any] = document_of("{}")
    cases: int
    origin: str = Field(max_length=200, description="Where it came from: a file, 'shipped' or 'production'.")


class SuiteCase(TenantRow, table=True):
    """Hold one case of a suite as `kowai.suites.Case` describes it."""

    __table_args__ = (UniqueConstraint("suite_id", "key"),)

    suite_id: UUID = Field(foreign_key="suite.id", ondelete="CASCADE")
    key: str = Field(max_length=200)
    content: dict[str, Any] = document_of("{}")


class Evaluation(TenantRow, table=True):
    """Follow one suite under one choice of settings; its items are those of the batch of the same id."""

    __table_args__ = (
        CheckConstraint("outcome in ('passed', 'regressed', 'broken')", name="known_outcome"),
        Index("ix_evaluation_newest", "tenant_id", "created_at"),
    )

    suite_id: UUID = Field(foreign_key="suite.id", ondelete="CASCADE")
    candidate: bool = Field(
        default=False,
        sa_column_kwargs={"server_default": text("false")},
        description="Whether something other than what was live answered.",
    )
    judged: bool = Field(description="Whether a model judges the answers too.")
    baseline_id: UUID | None = Field(default=None, description="The accepted evaluation it was compared with.")
    outcome: str | None = Field(default=None, max_length=20)
    accepted: bool = Field(default=False, description="Whether later evaluations are compared with it.")
    stopped_by: str | None = Field(default=None, max_length=20, description="The limit that ended it, if one did.")
    summary: dict[str, Any] = document_of("{}")
    comparison: dict[str, Any] = document_of("{}")
    agreement: dict[str, Any] = document_of("{}")
    flow_run_id: UUID | None = None
    finished_at: datetime | None = moment()


class CaseScore(TenantRow, table=True):
    """Hold what was measured of one answer; its id is its query's. What is unknown is not among the scores."""

    __table_args__ = (Index("ix_case_score_evaluation", "evaluation_id"),)

    evaluation_id: UUID = Field(foreign_key="evaluation.id", ondelete="CASCADE")
    abstained: bool
    scores: dict[str, Any] = document_of("{}")
    reason: str | None = Field(default=None, description="Why the judge thinks so.")
