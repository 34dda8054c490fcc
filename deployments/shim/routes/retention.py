"""For how long old versions are kept."""

from typing import Annotated

from fastapi import APIRouter, Depends

from deployments.shim.identity import Principal, may
from tasks.retention import Retention, RetentionView, retention_of, set_retention

router = APIRouter(prefix="/api/v1", tags=["documents"])

Reader = Annotated[Principal, Depends(may("policies.read"))]
Writer = Annotated[Principal, Depends(may("retention.manage"))]


@router.get("/retention")
async def get_retention(caller: Reader) -> RetentionView:
    """Return how many old versions of a document are kept, and for how long."""
    return await retention_of(caller.tenant_id)


@router.put("/retention")
async def put_retention(wanted: Retention, caller: Writer) -> RetentionView:
    """Keep old versions as this tenant wants; the nightly reconciling deletes what is past it, with certificates."""
    return await set_retention(wanted, caller.tenant_id)


@router.delete("/retention")
async def delete_retention(caller: Writer) -> RetentionView:
    """Keep old versions again as everybody does."""
    return await set_retention(None, caller.tenant_id)
