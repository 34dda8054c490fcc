"""Optimisations: personas that learn better prompts from suites, within a budget and through the gate."""

from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import text

from blocks.connections import database
from deployments.shim.handing_over import Task, hand_over
from deployments.shim.identity import Principal, may
from deployments.shim.quoting import QUOTED, ApprovalView, ApproveAbove, DryRun
from deployments.shim.repeats import Repeatable
from kowai.errors import NotFound
from kowai.optimisers import optimisers
from kowai.pricing import Dollars
from kowai.quotes import Quote
from kowai.suites import Limits
from tasks.optimise import Wish, receive_optimisation
from tasks.quote_optimisation import quote_optimisation
from tasks.suites import find_suite

router = APIRouter(prefix="/api/v1", tags=["evaluations"])
DEPLOYMENT = "optimise/run-stored-optimisation"

Reader = Annotated[Principal, Depends(may("evaluations.read"))]
Promoter = Annotated[Principal, Depends(may("versions.promote"))]

SELECT = """
select o.id as optimisation_id, o.persona, s.name as suite, o.optimiser, o.limits, o.outcome, o.stopped_by, o.sentence,
  o.version_id, nullif(o.lineage, '{}') as lineage, p.id as promotion_id, p.outcome as promotion,
  p.sentence as promotion_sentence, o.created_at, o.finished_at,
  (select to_jsonb(a) from approval a where a.id = o.id) as approval
from optimisation o join suite s on s.id = o.suite_id left join promotion p on p.id = o.id
"""
NEWEST = text(f"{SELECT} order by o.created_at desc limit :limit")
ONE = text(f"{SELECT} where o.id = :id")
ARTEFACT = text("select artefact from optimisation where id = :id and artefact <> '{}'")


class NewOptimisation(BaseModel):
    """Ask for a better prompt for a persona."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"persona": "assistant", "suite": "handbook"}]}
    )

    persona: str = Field(description="Whose prompt is to become better.")
    suite: str = Field(description="The name or id of the suite; half of it is learned from, the other half decides.")
    optimiser: str = Field(default="bootstrap", description=f"One of {', '.join(optimisers())}.")
    limits: Limits = Field(default=Limits.model_validate({"dollars": 1}), description="What the search may take.")
    dry_run: bool = DryRun
    approve_above: Dollars | None = ApproveAbove


class OptimisationView(BaseModel):
    """Say what a search found and, once there is one, what the gate decided about it."""

    optimisation_id: UUID
    persona: str
    suite: str
    optimiser: str
    limits: Limits
    outcome: Literal["improved", "no_gain", "refused", "broken"] | None
    stopped_by: str | None = Field(description="The limit that ended the search early, if one did.")
    sentence: str | None
    version_id: UUID | None
    lineage: dict[str, Any] | None = Field(description="Data hash, metric, scores on the train half, cost and parent.")
    promotion_id: UUID | None
    promotion: Literal["promoted", "refused", "broken", "rolled_back"] | None
    promotion_sentence: str | None
    approval: ApprovalView | None
    created_at: datetime
    finished_at: datetime | None


@router.post("/optimisations", status_code=202, responses=QUOTED)
async def add_optimisation(
    new: NewOptimisation, caller: Promoter, request: Request, response: Response, repeats: Repeatable
) -> OptimisationView | Quote:
    """Search a better prompt in a worker; it goes live only if the suite's other half is answered no worse.

    A dry run is answered with a quote and leaves nothing.
    """
    suite_id = await find_suite(new.suite, caller.tenant_id, only_quoted=new.dry_run)
    wish = Wish(new.persona, suite_id, new.optimiser, new.limits, caller.id)
    quote = partial(quote_optimisation, wish, caller.tenant_id)
    task = Task(DEPLOYMENT, "optimisation_id", [new.model_dump(mode="json")], quote, new.approve_above)
    if new.dry_run:
        response.status_code = 200
        return await task.quoted()
    store = partial(receive_optimisation, wish, caller.tenant_id)
    optimisation_id = await hand_over(task, store, caller, repeats, request)
    return await _optimisation(optimisation_id, caller.tenant_id)


@router.get("/optimisations")
async def get_optimisations(caller: Reader, limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> list[OptimisationView]:
    """List searches for better prompts, newest first."""
    async with (await database()).transaction(caller.tenant_id) as connection:
        found = (await connection.execute(NEWEST, {"limit": limit})).mappings()
        return [OptimisationView.model_validate(dict(row)) for row in found]


@router.get("/optimisations/{optimisation_id}")
async def get_optimisation(optimisation_id: UUID, caller: Reader) -> OptimisationView:
    """Return what the search found, what it cost and what the gate decided."""
    return await _optimisation(optimisation_id, caller.tenant_id)


@router.get("/optimisations/{optimisation_id}/artefact")
async def get_artefact(optimisation_id: UUID, caller: Reader) -> dict[str, Any]:
    """Return the prompt as the JSON that DSPy loads; it shows passages of documents as examples, and holds no key."""
    async with (await database()).transaction(caller.tenant_id) as connection:
        artefact = await connection.scalar(ARTEFACT, {"id": optimisation_id})
    if artefact is None:
        raise NotFound("There is no artefact: this optimisation found nothing better, or what it learned from is gone.")
    return artefact


async def _optimisation(optimisation_id: UUID, tenant_id: UUID) -> OptimisationView:
    async with (await database()).transaction(tenant_id) as connection:
        row = (await connection.execute(ONE, {"id": optimisation_id})).mappings().one_or_none()
    if row is None:
        raise NotFound("There is no such optimisation.")
    return OptimisationView.model_validate(dict(row))
