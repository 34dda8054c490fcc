"""A question that the examples are unsure about is put to the model, whose failure costs nobody an answer."""

import asyncio
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from blocks import connections
from blocks.connections import Known
from blocks.database import Database
from blocks.embedder import Embedder
from deployments.shim.answers import read_answer
from tasks import route as routing
from tasks.admit import admit
from tasks.receive import Inquiry, receive_query
from tasks.route import route
from tests.model_server import Act, ModelServer

Use = Callable[..., Any]
SURE, UNSURE = "Write a tagline for our new savings account.", "Hm, tell me about it"
CHOSEN = "[[ ## persona ## ]]\n{}\n\n[[ ## confidence ## ]]\n{}\n\n[[ ## completed ## ]]"


@pytest.fixture
def model(use: Use, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> ModelServer:
    block = use(model_server.target())

    async def configured() -> Any:
        return block

    monkeypatch.setattr(routing, "language_model", configured)
    return model_server


async def routed(message: str, tenant: UUID):
    query_id = await receive_query(Inquiry(message, "auto"), tenant)
    _, question = await admit(query_id, tenant)
    chosen = await route(question)
    answer = await read_answer(query_id, tenant)
    assert chosen.persona == answer.persona
    assert answer.routing
    return answer.persona, answer.routing.by, answer.routing.confidence


async def test_a_sure_choice_asks_no_model(store: Database, tenant: UUID, model: ModelServer) -> None:
    persona, by, _ = await routed(SURE, tenant)
    assert (persona, by) == ("creative", "examples")
    assert model.asked == []


async def test_an_unsure_choice_is_the_models(store: Database, tenant: UUID, model: ModelServer) -> None:
    model.default = Act(content=CHOSEN.format("Product Manager", 0.7))
    assert await routed(UNSURE, tenant) == ("product_manager", "model", 0.7)
    assert len(model.asked) == 1


@pytest.mark.parametrize(
    "act",
    [
        Act(content=CHOSEN.format("nobody", 0.7)),
        Act(content=CHOSEN.format("analyst", "nan")),
        Act(content="gibberish"),
        Act(status=500),
    ],
    ids=["unknown persona", "no number", "unreadable", "broken"],
)
async def test_a_model_that_is_no_help_leaves_the_examples_choice(
    store: Database, tenant: UUID, model: ModelServer, act: Act
) -> None:
    model.default = act
    _, by, confidence = await routed(UNSURE, tenant)
    assert by == "examples"
    assert confidence is not None
    assert confidence < 0.6


async def test_examples_are_paid_once_by_questions_that_come_together(
    store: Database, tenant: UUID, model: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = Known(model.embedder(price="1", batch_size=2048, model="examples"), time.monotonic() + 1e6)
    monkeypatch.setitem(connections._known, Embedder, block)
    model.default = Act(delay=0.2)
    await asyncio.gather(*(routing.nearest_persona(f"Question {n}?", tenant) for n in range(4)))
    assert sorted(len(texts) > 1 for texts in model.embedded) == [False] * 4 + [True]
