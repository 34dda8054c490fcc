"""Approvals: what waits because it could be dear is let begin, or declined."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from deployments.shim.identity import Principal, may
from deployments.shim.prefect_api import PrefectApi
from deployments.shim.quoting import ApprovalView
from tasks.approvals import list_approvals
from tasks.decisions import DECIDED, Decision, NotWaiting, deciding

router = APIRouter(prefix="/api/v1", tags=["approvals"])

Approver = Annotated[Principal, Depends(may("spending.approve"))]
State = Annotated[
    Literal["quoted", "waiting", "approved", "declined"] | None, Query(description="Only those of this state.")
]


class ListedApproval(ApprovalView):
    """Name what was quoted: its id is that of the batch, evaluation, promotion, optimisation or team."""

    id: UUID
    workflow: str
    flow_run_id: UUID | None
    created_at: datetime
    waits_since: datetime | None
    decided_at: datetime | None


class Choice(BaseModel):
    """Say whether something may spend what its quote says."""

    model_config = ConfigDict(extra="forbid")

    approve: bool = Field(description="True lets it begin; false ends it.")
    reason: str = Field("", max_length=2000, description="Why not: what every refused item then says.")


@router.get("/approvals")
async def get_approvals(
    caller: Approver, state: State = None, limit: Annotated[int, Query(ge=1, le=1000)] = 50
) -> list[ListedApproval]:
    """List what was quoted, newest first, and who let it begin."""
    found = await list_approvals(caller.tenant_id, state=state, limit=limit)
    return [ListedApproval.model_validate(row, from_attributes=True) for row in found]


@router.post("/approvals/{subject_id}/decision", status_code=202)
async def decide(subject_id: UUID, choice: Choice, caller: Approver, request: Request) -> ListedApproval:
    """Approve or decline what waits, as the form in Prefect does; the worker then takes it up again."""
    prefect: PrefectApi = request.app.state.prefect
    decision = Decision(choice.approve, caller.name or str(caller.id), choice.reason)
    async with deciding(subject_id, caller.tenant_id, decision) as run_id:
        if not await prefect.resume(run_id, {"approve": choice.approve}):
            raise NotWaiting(DECIDED)
    (row,) = await list_approvals(caller.tenant_id, subject_id=subject_id)
    return ListedApproval.model_validate(row, from_attributes=True)
