"""Questions asked of several personas: the set, the batch, and where each of its items ended."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlmodel import Field

from kowai.tables.rows import Row, TenantRow, document_of, moment


class QuestionSet(TenantRow, table=True):
    """Name a list of questions that may be asked again."""

    name: str = Field(max_length=200)


class SetQuestion(TenantRow, table=True):
    """Hold one question of a set; `key` is the id its owner knows it by."""

    __table_args__ = (
        UniqueConstraint("question_set_id", "key"),
        Index("ix_set_question", "question_set_id", "ordinal"),
    )

    question_set_id: UUID = Field(foreign_key="question_set.id", ondelete="CASCADE")
    ordinal: int
    key: str = Field(max_length=200)
    text: str


class Batch(TenantRow, table=True):
    """Ask every question of a set of every persona; `accepted` is how many items that makes."""

    __table_args__ = (
        CheckConstraint(
            "status in ('queued', 'quoted', 'waiting', 'running', 'done', 'declined')", name="known_batch_status"
        ),
    )

    question_set_id: UUID = Field(foreign_key="question_set.id", ondelete="CASCADE")
    personas: list[Any] = document_of("[]")
    dry_run: bool = False
    status: str = Field(default="queued", max_length=20)
    accepted: int = 0
    asked_by: UUID | None = Field(default=None, description="The API key that asked.")
    flow_run_id: UUID | None = None
    finished_at: datetime | None = moment()
    results: dict[str, Any] = document_of("{}")
    limits: dict[str, Any] = document_of("{}")
    pins: dict[str, Any] | None = document_of("null")


class BatchItem(TenantRow, table=True):
    """Follow one question to one persona until it is done, refused or dead; its id is its query's."""

    __table_args__ = (
        UniqueConstraint("batch_id", "question_id", "persona"),
        CheckConstraint("state in ('queued', 'running', 'done', 'refused', 'dead')", name="known_item_state"),
        CheckConstraint("(state in ('refused', 'dead')) = (cause is not null)", name="end_has_cause"),
        Index("ix_batch_item_state", "batch_id", "state", "ordinal"),
    )

    batch_id: UUID = Field(foreign_key="batch.id", ondelete="CASCADE")
    question_id: UUID = Field(foreign_key="set_question.id", ondelete="CASCADE")
    ordinal: int
    persona: str = Field(max_length=50)
    state: str = Field(default="queued", max_length=20)
    cause: str | None = Field(default=None, max_length=50)
    sentence: str | None = None
    attempts: int = 0


class BatchTurn(Row, table=True):
    """Let one item be answered, or one batch wait for it; every party sees how many share the workers.

    It belongs to the house and not to a tenant, so it holds nothing but ids.
    """

    id: UUID = Field(primary_key=True)
    party: UUID = Field(description="The tenant on whose behalf.")
    waiting: bool
    leased_until: datetime | None = moment(nullable=False)
