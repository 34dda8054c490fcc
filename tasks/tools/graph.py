"""Look at a document's neighbours in the graph of references."""

from collections.abc import Mapping
from typing import Any

from tasks.relate import neighbours
from tasks.tools import BadArguments, Observation, Occasion, Tool, argument

MOST = 40
DIRECTIONS = ("out", "in")


async def use(occasion: Occasion, arguments: Mapping[str, Any]) -> Observation:
    name, direction = argument(arguments, "document"), arguments.get("direction") or "out"
    if direction not in DIRECTIONS:
        raise BadArguments("The argument 'direction' is 'out' or 'in'.")
    edges = await neighbours(name, occasion.question.tenant_id, depth=1, incoming=direction == "in")
    lines = [f"{edge.source} {edge.kind} {edge.target_document or edge.target}" for edge in edges]
    more = f"\n... and {len(lines) - MOST:,} more" if len(lines) > MOST else ""
    return Observation("\n".join(lines[:MOST]) + more if lines else f"{name} has no such references")


TOOL = Tool(
    description="Shows what a document links to, imports, calls or mentions, or what does so with it.",
    arguments={"document": "its name as passages give it", "direction": "'out' (default) or 'in'"},
    use=use,
)
