"""What was quoted without a model is quoted again when it begins with one, and then waits if that is dear."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from blocks.database import Database
from flows.evaluate import run_evaluation
from flows.optimise import run_optimisation
from flows.promote import run_promotion
from flows.run_personas import run_batch
from flows.run_team import run_stored_team
from kowai.suites import Limits
from tasks.approvals import offered, read_terms
from tasks.evaluations import Trial, receive_evaluation
from tasks.optimise import Wish, receive_optimisation
from tasks.promote import receive_promotion
from tasks.quote import quote_nothing
from tasks.quote_evaluation import quote_evaluations, quote_promotion
from tasks.step import traced
from tasks.teams import Assignment, receive_team
from tasks.versions import receive_version
from tests.flows.conftest import learn_tea
from tests.flows.test_promote import suite_of
from tests.flows.test_run_personas import GOOD, batch_of
from tests.model_server import Act, ModelServer

QUESTION = "How long is green tea steeped?"
CENT = Decimal("0.01")


@pytest.fixture
async def tea(store: Database, tenant: UUID, tmp_path: Path, use: Callable[..., None]) -> UUID:
    """Learn a document, without a model."""
    await learn_tea(tenant, tmp_path / "documents")
    use()
    return tenant


async def a_batch(tenant: UUID, above: Decimal) -> UUID:
    return await batch_of([QUESTION], ["assistant", "analyst"], tenant, above=above)


async def an_evaluation(tenant: UUID, above: Decimal) -> UUID:
    trial = Trial(await suite_of(12, tenant))
    quote = (await quote_evaluations([trial], tenant)).above(above)
    return await receive_evaluation(trial, tenant, along=offered("evaluate", quote))


async def a_promotion(tenant: UUID, above: Decimal) -> UUID:
    version_id, suite_id = await receive_version("retrieval", {"passages": 7}, tenant), await suite_of(12, tenant)
    quote = (await quote_promotion(version_id, suite_id, tenant)).above(above)
    return await receive_promotion(version_id, suite_id, tenant, along=offered("promote", quote))


async def an_optimisation(tenant: UUID, above: Decimal) -> UUID:
    wish = Wish("assistant", await suite_of(12, tenant), "bootstrap", Limits(dollars=Decimal(1)))
    along = offered("optimise", (await quote_nothing(tenant)).above(above))
    return await receive_optimisation(wish, tenant, along=along)


async def a_team(tenant: UUID, above: Decimal) -> UUID:
    along = offered("run-team", (await quote_nothing(tenant)).above(above))
    return await receive_team(Assignment(QUESTION, "auto"), tenant, along=along)


STORED: dict[str, tuple[Callable[[UUID, Decimal], Any], Any]] = {
    "batch": (a_batch, run_batch),
    "evaluation": (an_evaluation, run_evaluation),
    "promotion": (a_promotion, run_promotion),
    "optimisation": (an_optimisation, run_optimisation),
    "team": (a_team, run_stored_team),
}


@pytest.mark.parametrize("kind", STORED)
async def test_a_model_that_is_added_before_it_begins_spends_nothing_unasked(
    tea: UUID, use: Callable[..., None], model_server: ModelServer, kind: str
) -> None:
    store, flow = STORED[kind]
    subject_id = await store(tea, CENT)
    use(model_server.target(price="10"))
    with traced():
        end = await flow.fn(subject_id, tea)
    assert (end.name, model_server.asked) == ("Waiting", [])
    terms = await read_terms(subject_id, tea)
    assert terms
    assert (terms.state, terms.outdated, terms.quote.model) == ("waiting", False, "local")
    assert terms.quote.worst_dollars
    assert terms.quote.worst_dollars > CENT == terms.quote.approve_above


async def test_a_model_that_stays_below_the_threshold_is_used_at_once(
    tea: UUID, use: Callable[..., None], model_server: ModelServer
) -> None:
    batch_id = await a_batch(tea, Decimal(1_000))
    use(model_server.target(price="10"))
    model_server.default = Act(content=GOOD)
    with traced():
        assert await run_batch.fn(batch_id, tea) is None
    assert len(model_server.asked) == 2
    terms = await read_terms(batch_id, tea)
    assert terms
    assert (terms.state, terms.quote.model) == ("approved", "local")


async def test_what_nobody_wanted_to_be_asked_about_waits_for_nobody(
    tea: UUID, use: Callable[..., None], model_server: ModelServer
) -> None:
    batch_id = await batch_of([QUESTION], ["assistant"], tea)
    use(model_server.target(price="10"))
    model_server.default = Act(content=GOOD)
    with traced():
        assert await run_batch.fn(batch_id, tea) is None
    assert len(model_server.asked) == 1
