"""What the caller's tenant has spent."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from deployments.shim.identity import Principal, may
from tasks.costs import Costs, read_costs

router = APIRouter(prefix="/api/v1", tags=["costs"])

Reader = Annotated[Principal, Depends(may("costs.read"))]

Day = Annotated[date | None, Query(description="A UTC day; today when left out.")]


@router.get("/costs")
async def get_costs(caller: Reader, day: Day = None) -> Costs:
    """Return a day's model calls in US dollars: limit, counters, shares by persona, model, flow and document source."""
    return await read_costs(caller.tenant_id, day)
