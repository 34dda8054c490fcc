"""Ask another persona, who answers from the documents and has no tools."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from blocks.connections import language_model
from kowai.claims import MARKER
from kowai.personas import personas
from kowai.prompting import told
from kowai.questions import checked_question
from kowai.types import Preferences
from tasks.retrieve import find_passages
from tasks.tools import BadArguments, Observation, Occasion, Tool, argument
from tasks.writing import written

PASSAGES = 5


async def use(occasion: Occasion, arguments: Mapping[str, Any]) -> Observation:
    name, asked = argument(arguments, "persona"), checked_question(argument(arguments, "question"))
    persona = personas().get(name)
    if persona is None:
        raise BadArguments(f"There is no persona '{name}'; there are {', '.join(personas())}.")
    tenant_id, query_id = occasion.question.tenant_id, occasion.question.id
    wanted: dict[str, Any] = {"filters": occasion.question.filters, "query_id": query_id}
    passages = await find_passages(asked, tenant_id, k=PASSAGES, **wanted)
    if not passages:
        return Observation("nothing was found")
    inputs = told(persona, Preferences(), tenant_id, question=asked)
    ask = partial(occasion.ask, role=persona.role)
    draft = await written(inputs, passages, await language_model(), ask, tenant_id=tenant_id, query_id=query_id)
    said = MARKER.sub("", draft.text)  # its numbers are of its own passages
    return Observation(f"{name} says: {said}", tuple(passages))


TOOL = Tool(
    description="Asks another persona, who answers from the documents.",
    arguments={"persona": f"one of {', '.join(personas())}", "question": "a question that stands alone"},
    use=use,
)
