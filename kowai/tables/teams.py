"""Teams: a question, the plan by which personas work on it, and where each of its steps ended."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field

from kowai.tables.money import dollars
from kowai.tables.rows import TenantRow, document_of, moment


class Team(TenantRow, table=True):
    """Hold a question and its plan, null until it is drawn up; a live lease says that a run works on it."""

    __table_args__ = (
        CheckConstraint(
            "status in ('queued', 'running', 'done', 'partial', 'refused', 'failed', 'cancelled')",
            name="known_team_status",
        ),
    )

    question: str
    plan: dict[str, Any] | None = document_of("null")
    limits: dict[str, Any] = document_of("{}")
    drawn: bool = Field(default=False, description="Whether the planner draws up the plan.")
    status: str = Field(default="queued", max_length=20)
    cause: str | None = Field(default=None, max_length=50)
    sentence: str | None = None
    asked_by: UUID | None = Field(default=None, description="The user or key that asked.")
    flow_run_id: UUID | None = None
    leased_until: datetime | None = moment()
    finished_at: datetime | None = moment()


class TeamStep(TenantRow, table=True):
    """Follow one step until it is done, refused, failed or skipped; its id is its query's, once it has begun."""

    __table_args__ = (
        UniqueConstraint("team_id", "name"),
        CheckConstraint(
            "state in ('queued', 'running', 'done', 'refused', 'failed', 'skipped')", name="known_step_state"
        ),
        CheckConstraint("(state in ('refused', 'failed', 'skipped')) = (cause is not null)", name="end_has_cause"),
    )

    team_id: UUID = Field(foreign_key="team.id", ondelete="CASCADE")
    name: str = Field(max_length=40)
    ordinal: int
    state: str = Field(default="queued", max_length=20)
    cause: str | None = Field(default=None, max_length=50)
    sentence: str | None = None
    attempts: int = 0
    iterations: int = 0
    dollars: Decimal | None = dollars(nullable=True)
