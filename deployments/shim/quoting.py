"""What requests that are quoted look like, and what is told of the approval that a quote takes."""

from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, Field

from kowai.quotes import Quote

DryRun: Any = Field(
    default=False, description="Only say what it would take in tokens, US dollars and minutes; what is unknown is null."
)
QUOTED: dict[int | str, dict[str, Any]] = {200: {"model": Quote, "description": "What a dry run would take."}}

ApproveAbove: Any = Field(
    default=Decimal(1), ge=0, description="Wait for somebody's approval above so many US dollars; null: never."
)


class ApprovalView(BaseModel):
    """Say what was quoted and who let it begin, or did not and why; there is none where nothing was quoted."""

    state: Literal["quoted", "waiting", "approved", "declined"]
    quote: Quote
    decided_by: str | None
    reason: str | None
