"""Versions of settings: stored as candidates, put through the gate, rolled back."""

from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import text

from blocks.connections import database
from deployments.shim.handing_over import Task, hand_over
from deployments.shim.identity import Principal, let_pass, may
from deployments.shim.promoting import begin_promotion, undo_promotion
from deployments.shim.quoting import QUOTED, ApprovalView, ApproveAbove, DryRun
from deployments.shim.repeats import Repeatable
from kowai.errors import NotFound
from kowai.gate import Comparison
from kowai.pricing import Dollars
from kowai.quotes import Quote
from kowai.versions import KINDS, SPACE
from tasks.quote_evaluation import Draft, quote_promotion
from tasks.suites import find_suite
from tasks.versions import checked_setting, receive_version

router = APIRouter(prefix="/api/v1", tags=["evaluations"])
DEPLOYMENT = "promote/run-stored-promotion"

Reader = Annotated[Principal, Depends(may("evaluations.read"))]
Runner = Annotated[Principal, Depends(may("evaluations.run"))]
Promoter = Annotated[Principal, Depends(may("versions.promote"))]

VERSIONS = text("""
select v.id as version_id, v.slot, v.number, v.content, v.lineage, v.created_at,
  l.since is not null or v.slot = 'space' and exists (
    select from embedding_space e where e.state = 'current' and e.embedder = v.content ->> 'embedder') as live
from setting_version v left join live_setting l on l.slot = v.slot and l.version_id = v.id
where :slot = '' or v.slot = :slot order by v.created_at desc limit :limit
""")
SELECT = """
select p.id as promotion_id, p.version_id, v.slot, p.incumbent_id, s.name as suite, p.outcome, p.sentence,
  nullif(p.comparison, '{}') as comparison, p.candidate_evaluation_id, p.incumbent_evaluation_id, p.created_at,
  p.finished_at, (select to_jsonb(a) from approval a where a.id = p.id) as approval
from promotion p join setting_version v on v.id = p.version_id join suite s on s.id = p.suite_id
"""
PROMOTIONS = text(f"{SELECT} order by p.created_at desc limit :limit")
PROMOTION = text(f"{SELECT} where p.id = :id")

Limit = Annotated[int, Query(ge=1, le=1000)]


class NewVersion(BaseModel):
    """Write a candidate for a slot."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"slot": "retrieval", "content": {"passages": 12}}]}
    )

    slot: str = Field(description=f"One of {', '.join(KINDS)}; persona and prompt with a persona: prompt:assistant.")
    content: dict[str, Any] = Field(description="What differs from what the files and blocks say.")
    lineage: dict[str, Any] = Field(default_factory=dict[str, Any], description="Where it comes from.")


class VersionView(BaseModel):
    """Hold one version of a slot, which is never changed."""

    version_id: UUID
    slot: str
    number: int
    content: dict[str, Any]
    lineage: dict[str, Any]
    live: bool
    created_at: datetime


class NewPromotion(BaseModel):
    """Ask for a version to go live."""

    model_config = ConfigDict(extra="forbid")

    version_id: UUID | None = Field(None, description="A version that is stored.")
    version: NewVersion | None = Field(None, description="Or a candidate, which is stored; by a dry run it is not.")
    suite: str = Field(description="The name or id of the suite that decides.")
    dry_run: bool = DryRun
    approve_above: Dollars | None = ApproveAbove

    @model_validator(mode="after")
    def _either(self) -> "NewPromotion":
        if (self.version_id is None) == (self.version is None):
            raise ValueError("send either version_id or version")
        return self


class PromotionView(BaseModel):
    """Say what the gate decided and why; a null incumbent is what the files and blocks say."""

    promotion_id: UUID
    version_id: UUID
    slot: str
    incumbent_id: UUID | None
    suite: str
    outcome: Literal["promoted", "refused", "broken", "rolled_back"] | None
    sentence: str | None
    comparison: Comparison | None
    candidate_evaluation_id: UUID
    incumbent_evaluation_id: UUID
    approval: ApprovalView | None
    created_at: datetime
    finished_at: datetime | None


@router.post("/versions", status_code=201)
async def add_version(new: NewVersion, caller: Runner) -> VersionView:
    """Store a candidate; nothing answers by it before it is promoted or pinned by an evaluation."""
    version_id = await _store(new, caller)
    return next(view for view in await _versions(caller.tenant_id, new.slot, 10_000) if view.version_id == version_id)


@router.get("/versions")
async def get_versions(
    caller: Reader, slot: Annotated[str, Query(description="Only those of this slot.")] = "", limit: Limit = 100
) -> list[VersionView]:
    """List versions, newest first, and which of them answer."""
    return await _versions(caller.tenant_id, slot, limit)


@router.post("/promotions", status_code=202, responses=QUOTED)
async def add_promotion(
    new: NewPromotion, caller: Promoter, request: Request, response: Response, repeats: Repeatable
) -> PromotionView | Quote:
    """Put a version through the gate, in a worker: it goes live only if no metric falls by more than its margin.

    A dry run is answered with a quote and leaves nothing.
    """
    suite_id = await find_suite(new.suite, caller.tenant_id, only_quoted=new.dry_run)
    quote = partial(quote_promotion, await _candidate(new), suite_id, caller.tenant_id)
    task = Task(DEPLOYMENT, "promotion_id", [new.model_dump(mode="json")], quote, new.approve_above)
    if new.dry_run:
        response.status_code = 200
        return await task.quoted()
    version_id = await _store(new.version, caller) if new.version else new.version_id
    assert version_id
    store = partial(begin_promotion, version_id, suite_id, caller)
    promotion_id = await hand_over(task, store, caller, repeats, request)
    return await _promotion(promotion_id, caller.tenant_id)


@router.get("/promotions")
async def get_promotions(caller: Reader, limit: Limit = 50) -> list[PromotionView]:
    """List what was put through the gate, newest first."""
    async with (await database()).transaction(caller.tenant_id) as connection:
        found = (await connection.execute(PROMOTIONS, {"limit": limit})).mappings()
        return [PromotionView.model_validate(dict(row)) for row in found]


@router.get("/promotions/{promotion_id}")
async def get_promotion(promotion_id: UUID, caller: Reader) -> PromotionView:
    """Return what the gate decided, every metric's change and the questions that were answered worse."""
    return await _promotion(promotion_id, caller.tenant_id)


@router.post("/promotions/{promotion_id}/roll-back")
async def roll_promotion_back(promotion_id: UUID, caller: Promoter, request: Request) -> PromotionView:
    """Make the version before this one live again; a vector space is kept for a week, and filled up first."""
    await undo_promotion(promotion_id, caller, request.app.state.runs)
    return await _promotion(promotion_id, caller.tenant_id)


async def _candidate(new: NewPromotion) -> UUID | Draft:
    if new.version:
        return Draft(new.version.slot, await checked_setting(new.version.slot, new.version.content))
    assert new.version_id
    return new.version_id


async def _store(new: NewVersion, caller: Principal) -> UUID:
    if new.slot == SPACE:
        let_pass("spaces.manage", caller)
    return await receive_version(new.slot, new.content, caller.tenant_id, lineage=new.lineage, by=caller.id)


async def _versions(tenant_id: UUID, slot: str, limit: int) -> list[VersionView]:
    async with (await database()).transaction(tenant_id) as connection:
        found = (await connection.execute(VERSIONS, {"slot": slot, "limit": limit})).mappings()
        return [VersionView.model_validate(dict(row)) for row in found]


async def _promotion(promotion_id: UUID, tenant_id: UUID) -> PromotionView:
    async with (await database()).transaction(tenant_id) as connection:
        row = (await connection.execute(PROMOTION, {"id": promotion_id})).mappings().one_or_none()
    if row is None:
        raise NotFound("There is no such promotion.")
    return PromotionView.model_validate(dict(row))
