"""Search the tenant's documents."""

from collections.abc import Mapping
from typing import Any

from kowai.questions import checked_question
from tasks.retrieve import find_passages
from tasks.tools import Observation, Occasion, Tool, argument

PASSAGES = 5


async def use(occasion: Occasion, arguments: Mapping[str, Any]) -> Observation:
    query, question = checked_question(argument(arguments, "query")), occasion.question
    found = await find_passages(query, question.tenant_id, k=PASSAGES, filters=question.filters, query_id=question.id)
    return Observation(f"{len(found)} passages" if found else "nothing was found", tuple(found))


TOOL = Tool(
    description="Finds passages of the documents by meaning and by words.",
    arguments={"query": "what the passages should say, in a few words"},
    use=use,
)
