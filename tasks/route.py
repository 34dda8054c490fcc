"""Choose who answers a question that was put to nobody in particular."""

import asyncio
import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple
from uuid import UUID
from weakref import WeakKeyDictionary

from sqlalchemy import update
from sqlmodel import col

from blocks.connections import database, language_model
from blocks.embedder import Space
from kowai.errors import BudgetExhausted, KowaiError
from kowai.personas import personas, roster
from kowai.routing import UNSURE, Choice, Router
from kowai.signatures import ChoosePersona
from kowai.tables.queries import Query
from kowai.types import Question, Reply
from tasks import metered
from tasks.kept_vectors import kept_vectors
from tasks.question_vectors import question_vector
from tasks.step import step

UNROUTED = "assistant"  # where nobody can be chosen

_routers: dict[Space, Router] = {}
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


class Routing(NamedTuple):
    """Hold a choice and who made it: the personas' examples, or the model that was asked because they are unsure."""

    choice: Choice
    made_by: Literal["examples", "model"]
    calls: tuple[UUID, ...] = ()


@step
async def route(question: Question) -> Question:
    """Give the question to the persona that its message is for, and record the choice and how sure it is."""
    routing = await _routed(question)
    persona, confidence = routing.choice
    chosen = {"persona": persona, "routed_by": routing.made_by, "routing_confidence": confidence}
    async with (await database()).transaction(question.tenant_id, durable=False) as connection:
        await connection.execute(update(Query).where(col(Query.id) == question.id).values(**chosen))
    return question.model_copy(update={"persona": persona, "calls": (*question.calls, *routing.calls)})


async def _routed(question: Question) -> Routing:
    try:
        choice = await nearest_persona(question.standalone, question.tenant_id, question.id)
    except BudgetExhausted:  # the search that comes next is refused, and says so
        choice = Choice(UNROUTED, 0.0)
    if choice.confidence < UNSURE and (await language_model()).targets:
        reply = await _ask_model(question.standalone, question.tenant_id, question.id)
        calls = (reply.call_id,) if reply and reply.call_id else ()
        asked = _readable(reply.fields) if reply else None
        return Routing(asked, "model", calls) if asked else Routing(choice, "examples", calls)
    return Routing(choice, "examples")


async def nearest_persona(message: str, tenant_id: UUID, query_id: UUID | None = None) -> Choice:
    """Choose by how the personas' examples lie around the message."""
    vector, space = await question_vector(message, tenant_id, query_id=query_id)
    if space not in _routers:
        async with _turns.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            if space not in _routers:  # who waited here has not to pay for the examples as well
                _routers[space] = await _router(space, tenant_id)
    return _routers[space].choose(vector)


async def _router(space: Space, tenant_id: UUID) -> Router:
    examples = [(name, example) for name, persona in personas().items() for example in persona.examples]
    labels, texts = zip(*examples, strict=True)
    return Router.fit(labels, await kept_vectors(texts, space, tenant_id))


async def _ask_model(message: str, tenant_id: UUID, query_id: UUID) -> Reply | None:
    """Return the model's reply; None when there is none to be had, which is no reason not to answer."""
    inputs = {"message": message, "personas": roster()}
    try:
        return await metered.ask(ChoosePersona, inputs, tenant_id, query_id=query_id, role="fast")
    except KowaiError:
        return None


def _readable(fields: Mapping[str, Any]) -> Choice | None:
    name = str(fields["persona"]).strip().lower().replace(" ", "_")
    confidence = float(fields["confidence"])
    usable = name in personas() and math.isfinite(confidence)
    return Choice(name, min(1.0, max(0.0, confidence))) if usable else None
