"""How the caller's tenant is used."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from deployments.shim.identity import Principal, may
from kowai.analytics import Analytics
from tasks.analytics import WEEKS, read_analytics

router = APIRouter(prefix="/api/v1", tags=["analytics"])

Reader = Annotated[Principal, Depends(may("costs.read"))]
Until = Annotated[date | None, Query(description="The last UTC day; today when left out.")]
Weeks = Annotated[int, Query(ge=1, le=104, description="How many weeks, from Monday to Sunday.")]


@router.get("/analytics")
async def get_analytics(caller: Reader, until: Until = None, weeks: Weeks = WEEKS) -> Analytics:
    """Return active people, questions, cohorts and retention, from events that hold no text."""
    return await read_analytics(caller.tenant_id, until, weeks)
