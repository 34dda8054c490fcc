"""What was asked and answered."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, Index, Numeric, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from kowai.tables.rows import TenantRow, computed, document_of, moment


class Query(TenantRow, table=True):
    """Hold a question, what became of it, and the Prefect run that answered it."""

    __table_args__ = (
        CheckConstraint("status in ('queued', 'running', 'done', 'refused', 'failed', 'stopped')", name="known_status"),
        UniqueConstraint("conversation_id", "turn"),
        Index("ix_query_newest", "tenant_id", "created_at"),
    )

    text: str
    history: list[Any] = document_of("[]")
    standalone: str = Field(description="What is searched for: the question as it is understood without its history.")
    persona: str = Field(max_length=50, description="Who answers; 'auto' until somebody has been chosen.")
    routed_by: str | None = Field(default=None, max_length=20, description="What chose the persona, if it was chosen.")
    routing_confidence: float | None = None
    filters: dict[str, Any] = document_of("{}")
    pins: dict[str, Any] | None = document_of("null")  # the versions that answer, by slot; null: those that are live
    streamed: bool = Field(default=False, description="Whether its answer is told in the event log as it is written.")
    status: str = Field(default="queued", max_length=20)
    refusal: str | None = Field(default=None, description="The code of a refusal or failure.")
    sentence: str | None = Field(default=None, description="What the user was told about it.")
    conversation_id: UUID | None = Field(default=None, foreign_key="conversation.id", ondelete="CASCADE")
    turn: int | None = Field(default=None, description="Its place in the conversation, from 1.")
    leased_until: datetime | None = moment()
    preferences: dict[str, Any] = document_of("{}")
    asked_by: UUID | None = Field(default=None, description="The API key that asked.")
    flow_run_id: UUID | None = None
    started_at: datetime | None = moment()
    finished_at: datetime | None = moment()


class AnswerRow(TenantRow, table=True):
    """Hold the answer to one query and the passages it was made from."""

    __table_args__ = (Index("ix_answer_quoted", "quoted", postgresql_using="gin"),)

    query_id: UUID = Field(foreign_key="query.id", ondelete="CASCADE", unique=True)
    text: str
    citations: list[Any] = document_of("[]")
    sentences: list[Any] = document_of("[]")
    passages: list[Any] = document_of("[]")
    versions: dict[str, Any] = document_of("{}")
    persona_version: str | None = Field(default=None, max_length=16, description="The hash of the persona's fields.")
    prompt: dict[str, Any] = document_of("{}")
    quoted: list[Any] | None = computed(
        "jsonb_path_query_array(citations || passages, '$[*].document_id')", JSONB(none_as_null=True)
    )
    confidence: float | None = None
    abstained: bool
    model: str
    fallback: bool = Field(default=False, description="Whether another model than the first choice spoke.")
    usage: dict[str, Any] = document_of("{}")
    cost: Decimal | None = Field(default=None, sa_column=Column(Numeric(18, 9)))
    note: str | None = Field(default=None, description="What help was missing when its passages were found.")
