"""What requests that only ask for a quote look like."""

from typing import Any

from pydantic import Field

from kowai.quotes import Quote

DryRun: Any = Field(
    default=False, description="Only say what it would take in tokens, US dollars and minutes; what is unknown is null."
)
QUOTED: dict[int | str, dict[str, Any]] = {200: {"model": Quote, "description": "What a dry run would take."}}
