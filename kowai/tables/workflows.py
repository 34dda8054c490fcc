"""Runs that somebody started through the API, and what callers' own keys for their requests stand for."""

from datetime import datetime
from uuid import UUID

from sqlmodel import Field

from kowai.tables.rows import TenantRow, moment


class WorkflowRun(TenantRow, table=True):
    """Say that somebody of this tenant started a workflow; its parameters are where their meaning is stored."""

    workflow: str = Field(max_length=63, description="Its name in prefect.yaml.")
    requested_by: UUID = Field(description="A user's or a key's id.")
    flow_run_id: UUID | None = None
    cancelled_at: datetime | None = moment()


class IdempotencyKey(TenantRow, table=True):
    """Say which request a caller sent with a key of their own, its id made of both, and what came of it."""

    request: str = Field(max_length=64, description="The SHA-256 of what was asked for.")
    outcome: UUID | None = Field(default=None, description="The run that it started; null while that is under way.")
    leased_until: datetime | None = moment(nullable=False)
