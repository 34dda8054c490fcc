"""What was quoted before it began, and who let it begin."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint
from sqlmodel import Field

from kowai.tables.rows import TenantRow, document_of, moment


class Approval(TenantRow, table=True):
    """Keep the quote of a batch, evaluation, promotion, optimisation or team of the same id, and who decided on it."""

    __table_args__ = (
        CheckConstraint("state in ('quoted', 'waiting', 'approved', 'declined')", name="known_approval_state"),
    )

    workflow: str = Field(max_length=50)
    quote: dict[str, Any] = document_of("{}")
    state: str = Field(max_length=20)
    decided_by: str | None = Field(default=None, max_length=200)
    decided_at: datetime | None = moment()
    reason: str | None = None
    flow_run_id: UUID | None = Field(default=None, description="The run that waits; it may wait for several.")
    waits_since: datetime | None = moment()
