"""An experiment splits what is really asked, remembers who was exposed to what, and stops when one side is better."""

from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from blocks.database import Database
from flows.answer import answer_query
from flows.watch_experiments import watch_experiments
from kowai.errors import NotFound
from tasks.experiments import BadExperiment, Plan, begin_experiment, read_lifts, stop_experiment
from tasks.receive import Inquiry, receive_query
from tasks.step import traced
from tasks.versions import receive_version
from tests.flows.conftest import learn_tea, rows
from tests.flows.test_promote import EQUAL, promoted, suite_of

QUESTION = "How long is green tea steeped?"
ASKED = 12

OUTCOME = """
with q as (
  insert into query (id, tenant_id, text, standalone, persona, streamed, status, started_at, finished_at)
  select gen_random_uuid(), %(tenant)s, 'x', 'x', 'assistant', false, 'done', now() - interval '1 second', now()
  from generate_series(1, %(times)s) returning id
), a as (
  insert into answer (id, tenant_id, query_id, text, abstained, fallback, model)
  select gen_random_uuid(), %(tenant)s, id, 'y', false, false, 'm' from q
), e as (
  insert into exposure (id, tenant_id, experiment_id, query_id, unit, arm)
  select gen_random_uuid(), %(tenant)s, %(experiment)s, id, id, %(arm)s from q
)
insert into feedback (id, tenant_id, query_id, given_by, rating)
select gen_random_uuid(), %(tenant)s, id, gen_random_uuid(), %(rating)s from q
"""


@pytest.fixture
async def tea(store: Database, tenant: UUID, tmp_path: Path) -> UUID:
    await learn_tea(tenant, tmp_path / "documents")
    return tenant


async def ask(tenant: UUID, caller: UUID | None = None) -> UUID:
    query_id = await receive_query(Inquiry(QUESTION, asked_by=caller), tenant)
    with traced():
        await answer_query.fn(query_id, tenant)
    return query_id


async def begun(tenant: UUID, **plan: object) -> tuple[UUID, UUID]:
    version_id = await receive_version("retrieval", EQUAL, tenant)
    return await begin_experiment(Plan(version_id, **plan), tenant), version_id  # type: ignore[arg-type]


def rate(url: str, tenant: UUID, experiment: UUID, arm: str, rating: str, times: int) -> None:
    values = {"tenant": tenant, "experiment": experiment, "arm": arm, "rating": rating, "times": times}
    with psycopg.connect(url) as owner:
        owner.execute(OUTCOME, values)


async def test_questions_are_split_and_answered_by_the_version_of_their_arm(tea: UUID, database_url: str) -> None:
    experiment_id, version_id = await begun(tea)
    asked = [await ask(tea) for _ in range(ASKED)]
    exposed = {row["query_id"]: row["arm"] for row in rows(database_url, "select * from exposure")}
    answered = {row["query_id"]: row["versions"] for row in rows(database_url, "select * from answer")}
    assert set(exposed) == set(asked)
    assert set(exposed.values()) == {"control", "candidate"}
    candidate = {"retrieval": str(version_id)}
    assert all(answered[id] == (candidate if exposed[id] == "candidate" else {}) for id in asked)
    lifts = await read_lifts(experiment_id, tea)
    assert lifts["latency"].control_outcomes + lifts["latency"].candidate_outcomes == ASKED
    assert (lifts["feedback"].control, lifts["feedback"].lift) == (None, None)


async def test_a_caller_stays_in_an_arm_where_callers_are_split(tea: UUID, database_url: str) -> None:
    await begun(tea, unit="caller")
    caller = uuid4()
    for _ in range(4):
        await ask(tea, caller)
    assert len(rows(database_url, "select distinct arm, unit from exposure")) == 1


async def test_evaluations_take_no_part(tea: UUID, database_url: str) -> None:
    await begun(tea)
    await promoted("retrieval", {"passages": 6}, await suite_of(2, tea), tea)
    assert rows(database_url, "select * from exposure") == []


async def test_without_an_experiment_nothing_is_written(tea: UUID, database_url: str) -> None:
    await ask(tea)
    assert rows(database_url, "select * from exposure") == []


@pytest.mark.parametrize(
    ("control", "candidate", "outcome"), [("down", "up", "won"), ("up", "down", "lost"), ("up", "up", None)]
)
async def test_it_stops_at_a_significant_winner_or_loser_and_live_answers_again(
    store: Database, tenant: UUID, database_url: str, control: str, candidate: str, outcome: str | None
) -> None:
    experiment_id, _ = await begun(tenant)
    rate(database_url, tenant, experiment_id, "control", control, 60)
    rate(database_url, tenant, experiment_id, "candidate", candidate, 60)
    with traced():
        await watch_experiments.fn("default")
    (found,) = rows(database_url, "select * from experiment")
    assert found["outcome"] == outcome
    if outcome:
        assert f"has {outcome} by feedback" in found["sentence"]
        await ask(tenant)
        assert len(rows(database_url, "select * from exposure")) == 120


async def test_an_experiment_ends_by_hand_once(store: Database, tenant: UUID, database_url: str) -> None:
    experiment_id, version_id = await begun(tenant)
    with pytest.raises(BadExperiment, match="running already"):
        await begin_experiment(Plan(version_id), tenant)
    await stop_experiment(experiment_id, tenant)
    with pytest.raises(BadExperiment, match="ended already"):
        await stop_experiment(experiment_id, tenant)
    await begin_experiment(Plan(version_id), tenant)


async def test_what_cannot_be_tried_is_refused(store: Database, tenant: UUID, other_tenant: UUID) -> None:
    version_id = await receive_version("retrieval", EQUAL, tenant)
    with pytest.raises(NotFound):
        await begin_experiment(Plan(version_id), other_tenant)
    with pytest.raises(BadExperiment, match="role judge"):
        await begin_experiment(Plan(version_id, metric="judge"), tenant)
