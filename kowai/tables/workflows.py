"""Runs that somebody started through the API."""

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
