"""Experiments: begin one, see what is known of its arms, and stop it when one of them is better."""

from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import text, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from blocks.connections import database, language_model
from kowai.errors import InvalidInput, NotFound
from kowai.experiments import ALPHA, GOALS, Lift, MetricName, lift, verdict
from kowai.tables.experiments import Experiment
from kowai.versions import SPACE
from tasks.judge import JUDGE, judge_sample
from tasks.step import step
from tasks.versions import live_versions, slot_of

MOST_JUDGED = 200  # of each arm, the first ones
FIND = text("select * from experiment where id = :id")
RUNNING = text("select id from experiment where outcome is null order by created_at")
# A conversation or caller counts once, by its first outcome: outcomes have to be independent of each other.
OUTCOMES = """
select distinct on (e.arm, e.unit) e.arm, e.query_id as id, q.text as question, a.text as answer, {value} as value
from exposure e join query q on q.id = e.query_id join answer a on a.query_id = e.query_id
where e.experiment_id = :id and {value} is not null order by e.arm, e.unit, e.created_at
"""
VALUES: dict[str, str] = {
    "feedback": "(select avg(case f.rating when 'up' then 1.0 else 0.0 end) from feedback f where f.query_id = q.id)",
    "cost": "a.cost",
    "latency": "extract(epoch from q.finished_at - q.started_at)",
    "judge": "1",
}


class BadExperiment(InvalidInput):
    code, http_status = "bad_experiment", 409


class Plan(NamedTuple):
    """Say what is tried on which part of the traffic, what stays in its arm and what decides."""

    version_id: UUID
    share: float = 0.5
    unit: Literal["conversation", "caller"] = "conversation"
    metric: MetricName = "feedback"
    alpha: float = ALPHA


@step
async def begin_experiment(plan: Plan, tenant_id: UUID, by: UUID | None = None) -> UUID:
    """Begin to try a version beside what is live in its slot. Raises NotFound and BadExperiment."""
    experiment_id = uuid4()
    if plan.metric == JUDGE and not (await language_model()).has_role(JUDGE):
        raise BadExperiment("No target of the language-model block has the role judge.")
    values: dict[str, Any] = {"id": experiment_id, "tenant_id": tenant_id, **plan._asdict(), "made_by": by}
    try:
        async with (await database()).transaction(tenant_id) as connection:
            values["slot"] = await slot_of(connection, plan.version_id)
            if values["slot"] == SPACE:
                raise BadExperiment("A vector space answers everybody or nobody: promote it instead.")
            values["control_id"] = (await live_versions(connection)).get(values["slot"])
            if values["control_id"] == plan.version_id:
                raise BadExperiment("This version is live already: there is nothing to compare it with.")
            await connection.execute(postgresql.insert(Experiment).values(**values))
    except IntegrityError as error:
        raise BadExperiment(f"An experiment on {values['slot']} is running already: stop it first.") from error
    return experiment_id


async def read_lifts(experiment_id: UUID, tenant_id: UUID) -> dict[str, Lift]:
    """Return what is known of the arms by each metric; the judge is asked only where it decides. Raises NotFound."""
    async with (await database()).transaction(tenant_id) as connection:
        row = await _find(connection, experiment_id)
        read: dict[str, list[Any]] = {}
        for metric in GOALS:
            if metric != JUDGE or row.metric == JUDGE:
                asked = text(OUTCOMES.format(value=VALUES[metric]))
                read[metric] = list((await connection.execute(asked, {"id": experiment_id})).all())
    found: dict[str, Lift] = {}
    for metric, outcomes in read.items():
        control, candidate = [[each for each in outcomes if each.arm == arm] for arm in ("control", "candidate")]
        if metric == JUDGE:
            sides = [await judge_sample(side[:MOST_JUDGED], tenant_id) for side in (control, candidate)]
        else:
            sides = [[float(each.value) for each in side] for side in (control, candidate)]
        found[metric] = lift(sides[0], sides[1], metric, row.alpha)
    return found


@step
async def find_running(tenant_id: UUID) -> list[UUID]:
    """Return the tenant's running experiments."""
    async with (await database()).transaction(tenant_id) as connection:
        return list(await connection.scalars(RUNNING))


@step
async def check_experiment(experiment_id: UUID, tenant_id: UUID) -> str | None:
    """Stop the experiment if the candidate has significantly won or lost, and return which."""
    async with (await database()).transaction(tenant_id) as connection:
        row = await _find(connection, experiment_id)
    if row.outcome is not None:
        return row.outcome
    found = (await read_lifts(experiment_id, tenant_id))[row.metric]
    outcome = verdict(found, row.metric)
    if outcome is not None:
        await _stop(row, outcome, _sentence(row, found, outcome), found)
    return outcome


@step
async def stop_experiment(experiment_id: UUID, tenant_id: UUID) -> None:
    """Stop an experiment by hand. Raises NotFound, and BadExperiment when it has ended."""
    async with (await database()).transaction(tenant_id) as connection:
        row = await _find(connection, experiment_id)
    found = (await read_lifts(experiment_id, tenant_id))[row.metric]
    if row.outcome is not None or not await _stop(row, "stopped", "Stopped by hand.", found):
        raise BadExperiment("This experiment has ended already.")


async def _find(connection: AsyncConnection, experiment_id: UUID) -> Any:
    row = (await connection.execute(FIND, {"id": experiment_id})).one_or_none()
    if row is None:
        raise NotFound("There is no such experiment.")
    return row


async def _stop(row: Any, outcome: str, sentence: str, found: Lift) -> bool:
    ended = update(Experiment).where(col(Experiment.id) == row.id, col(Experiment.outcome).is_(None))
    values = {"outcome": outcome, "sentence": sentence, "found": found.model_dump(), "finished_at": datetime.now(UTC)}
    async with (await database()).transaction(row.tenant_id) as connection:
        return bool((await connection.execute(ended.values(**values))).rowcount)


def _sentence(row: Any, found: Lift, outcome: str) -> str:
    how = "relative " if GOALS[row.metric].relative else ""
    range_ = f"{how}lift {found.lift:+.3f}, {found.low:+.3f} to {found.high:+.3f}"
    advice = "put it through the gate to make it live" if outcome == "won" else "what was live answers again"
    return f"The candidate has {outcome} by {row.metric} ({range_}): {advice}."
