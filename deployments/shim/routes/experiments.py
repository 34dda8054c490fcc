"""Experiments: part of the traffic is answered by a candidate until it has won or lost."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import text

from blocks.connections import database
from deployments.shim.identity import Principal, may
from kowai.errors import NotFound
from kowai.experiments import ALPHA, Lift, MetricName
from tasks.experiments import Plan, begin_experiment, read_lifts, stop_experiment

router = APIRouter(prefix="/api/v1", tags=["experiments"])

Reader = Annotated[Principal, Depends(may("evaluations.read"))]
Promoter = Annotated[Principal, Depends(may("versions.promote"))]

SELECT = """
select id as experiment_id, slot, version_id, control_id, share, unit, metric, alpha, outcome, sentence, created_at,
  finished_at, (select count(*) from exposure x where x.experiment_id = e.id) as exposures from experiment e
"""
NEWEST = text(f"{SELECT} order by created_at desc limit :limit")
ONE = text(f"{SELECT} where id = :id")


class NewExperiment(BaseModel):
    """Try a version on part of the traffic."""

    model_config = ConfigDict(extra="forbid")

    version_id: UUID = Field(description="The candidate; its slot's live version is the control.")
    share: float = Field(default=0.5, gt=0, lt=1, description="The candidate's part of the traffic.")
    unit: Literal["conversation", "caller"] = Field(
        default="conversation", description="What stays in its arm and counts once; a question alone is one, too."
    )
    metric: MetricName = Field(default="feedback", description="What decides.")
    alpha: float = Field(default=ALPHA, gt=0, le=0.5, description="How often equal arms may be called different.")


class ExperimentView(BaseModel):
    """Describe an experiment; a null outcome is one that runs."""

    experiment_id: UUID
    slot: str
    version_id: UUID
    control_id: UUID | None
    share: float
    unit: str
    metric: str
    alpha: float
    exposures: int
    outcome: Literal["won", "lost", "stopped"] | None
    sentence: str | None
    created_at: datetime
    finished_at: datetime | None


class ExperimentReport(ExperimentView):
    """Add what is known of the arms by each metric, with intervals that hold at every look."""

    lifts: dict[str, Lift]


@router.post("/experiments", status_code=201)
async def add_experiment(new: NewExperiment, caller: Promoter) -> ExperimentView:
    """Begin an experiment; it stops by itself when the candidate has significantly won or lost."""
    experiment_id = await begin_experiment(Plan(**new.model_dump()), caller.tenant_id, caller.id)
    return await _experiment(experiment_id, caller.tenant_id)


@router.get("/experiments")
async def get_experiments(caller: Reader, limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> list[ExperimentView]:
    """List experiments, newest first."""
    async with (await database()).transaction(caller.tenant_id) as connection:
        found = (await connection.execute(NEWEST, {"limit": limit})).mappings()
        return [ExperimentView.model_validate(dict(row)) for row in found]


@router.get("/experiments/{experiment_id}")
async def get_experiment(experiment_id: UUID, caller: Reader) -> ExperimentReport:
    """Return an experiment with the lift of the candidate by each metric."""
    view = await _experiment(experiment_id, caller.tenant_id)
    return ExperimentReport(**view.model_dump(), lifts=await read_lifts(experiment_id, caller.tenant_id))


@router.post("/experiments/{experiment_id}/stop")
async def stop(experiment_id: UUID, caller: Promoter) -> ExperimentView:
    """Stop an experiment; what is live answers everybody again."""
    await stop_experiment(experiment_id, caller.tenant_id)
    return await _experiment(experiment_id, caller.tenant_id)


async def _experiment(experiment_id: UUID, tenant_id: UUID) -> ExperimentView:
    async with (await database()).transaction(tenant_id) as connection:
        row = (await connection.execute(ONE, {"id": experiment_id})).mappings().one_or_none()
    if row is None:
        raise NotFound("There is no such experiment.")
    return ExperimentView.model_validate(dict(row))
