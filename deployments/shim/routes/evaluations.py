"""Evaluations: begin one, follow it, read what it found, and accept it as what later ones are compared with."""

from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

import sqlalchemy
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import text

from blocks.connections import database
from deployments.shim.handing_over import Task, hand_over
from deployments.shim.identity import Principal, may
from deployments.shim.quoting import QUOTED, ApprovalView, ApproveAbove, DryRun
from deployments.shim.repeats import Repeatable
from kowai.errors import InvalidInput, NotFound
from kowai.evaluations import Found, report
from kowai.personas import askable
from kowai.pricing import Dollars
from kowai.quotes import Quote
from kowai.suites import Limits
from tasks.evaluations import Trial, receive_evaluation
from tasks.measured_cases import MeasuredCase, read_cases
from tasks.quote_evaluation import quote_evaluations
from tasks.suites import find_suite

router = APIRouter(prefix="/api/v1", tags=["evaluations"])
DEPLOYMENT = "evaluate/run-stored-evaluation"
ENDED_BADLY = 1000

Reader = Annotated[Principal, Depends(may("evaluations.read"))]
Runner = Annotated[Principal, Depends(may("evaluations.run"))]

SELECT = """
select e.id as evaluation_id, e.suite_id, s.name as suite, s.version as suite_version, b.personas, b.status,
  e.outcome, e.accepted, e.judged, e.candidate, e.baseline_id, e.stopped_by, e.flow_run_id, e.created_at, e.finished_at,
  b.accepted as cases,
  (select count(*) from batch_item i where i.batch_id = e.id and i.state in ('queued', 'running')) as in_progress,
  (select to_jsonb(a) from approval a where a.id = e.id) as approval
from evaluation e join suite s on s.id = e.suite_id join batch b on b.id = e.id
"""
LIST = text(f"{SELECT} where (:suite = '' or s.name = :suite) order by e.created_at desc limit :limit")
ONE = text(f"{SELECT} where e.id = :id")
FOUND = text("select summary, comparison, agreement, outcome from evaluation where id = :id")
BADLY = text("""
select q.key as "case", i.persona, i.state, i.cause, i.sentence from batch_item i
join set_question q on q.id = i.question_id
where i.batch_id = :id and i.state in ('refused', 'dead') order by i.state, q.ordinal limit :limit
""")
ACCEPT = text("update evaluation set accepted = true where id = :id and outcome in ('passed', 'regressed')")


class NewEvaluation(BaseModel):
    """Say which suite is to be asked of whom."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"suite": "handbook"}]})

    suite: str = Field(description="The id of a suite, or a name: its newest version, or the shipped one.")
    personas: list[str] = Field(
        default_factory=list[str], description=f"Who answers, of {', '.join(askable())}; empty: whom the suite names."
    )
    judged: bool = Field(
        True, description="Also let the model of the role judge rate each answer, if a target names it."
    )
    limits: Limits | None = Field(None, description="Tokens, US dollars and minutes, instead of the suite's own.")
    versions: list[UUID] = Field(
        default_factory=list[UUID], description="Versions of settings that answer in place of those that are live."
    )
    dry_run: bool = DryRun
    approve_above: Dollars | None = ApproveAbove


class EvaluationView(BaseModel):
    """Say where an evaluation stands; `outcome` is null until it has ended."""

    evaluation_id: UUID
    suite_id: UUID
    suite: str
    suite_version: int
    personas: list[str]
    status: str
    outcome: Literal["passed", "regressed", "broken"] | None
    accepted: bool
    judged: bool
    candidate: bool
    baseline_id: UUID | None
    stopped_by: str | None
    cases: int
    in_progress: int
    approval: ApprovalView | None
    flow_run_id: UUID | None
    created_at: datetime
    finished_at: datetime | None


class Unscored(BaseModel):
    """Name a case that has no score, and why."""

    case: str
    persona: str
    state: Literal["refused", "dead"]
    cause: str
    sentence: str | None


class EvaluationResult(EvaluationView):
    """Add what was found, and the cases that have no score."""

    found: Found | None
    without_score: list[Unscored]


@router.post("/evaluations", status_code=202, responses=QUOTED)
async def add_evaluation(
    new: NewEvaluation, caller: Runner, request: Request, response: Response, repeats: Repeatable
) -> EvaluationView | Quote:
    """Store an evaluation and hand it to a worker; a dry run is answered with a quote and leaves nothing."""
    suite_id = await find_suite(new.suite, caller.tenant_id, only_quoted=new.dry_run)
    trial = Trial(suite_id, new.personas, new.judged, new.limits, new.versions)
    quote = partial(quote_evaluations, [trial], caller.tenant_id)
    task = Task(DEPLOYMENT, "evaluation_id", [new.model_dump(mode="json")], quote, new.approve_above)
    if new.dry_run:
        response.status_code = 200
        return await task.quoted()
    store = partial(receive_evaluation, trial, caller.tenant_id)
    evaluation_id = await hand_over(task, store, caller, repeats, request)
    return EvaluationView.model_validate(await _head(evaluation_id, caller.tenant_id))


@router.get("/evaluations")
async def get_evaluations(
    caller: Reader,
    suite: Annotated[str, Query(description="Only those of the suite of this name.")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> list[EvaluationView]:
    """List the tenant's evaluations, newest first."""
    async with (await database()).transaction(caller.tenant_id) as connection:
        found = await connection.execute(LIST, {"suite": suite, "limit": limit})
        return [EvaluationView.model_validate(dict(row)) for row in found.mappings()]


@router.get("/evaluations/{evaluation_id}")
async def get_evaluation(evaluation_id: UUID, caller: Reader) -> EvaluationResult:
    """Return every metric with its interval, the change since the accepted evaluation, and the questions behind it."""
    head = await _head(evaluation_id, caller.tenant_id)
    async with (await database()).transaction(caller.tenant_id) as connection:
        badly = (await connection.execute(BADLY, {"id": evaluation_id, "limit": ENDED_BADLY})).mappings()
        unscored = [Unscored.model_validate(dict(row)) for row in badly]
    found = await read_found(evaluation_id, caller.tenant_id)
    return EvaluationResult.model_validate(head | {"found": found, "without_score": unscored})


@router.get("/evaluations/{evaluation_id}/report", response_class=PlainTextResponse)
async def get_report(evaluation_id: UUID, caller: Reader) -> PlainTextResponse:
    """Return the report as Markdown: cases by their ids, none of their text."""
    head = await _head(evaluation_id, caller.tenant_id)
    found = await read_found(evaluation_id, caller.tenant_id)
    if found is None:
        raise NotFound("This evaluation has not ended yet.")
    title = f"{head['suite']}, version {head['suite_version']}"
    return PlainTextResponse(report(title, found), media_type="text/markdown; charset=utf-8")


@router.get("/evaluations/{evaluation_id}/cases")
async def get_cases(
    evaluation_id: UUID, caller: Reader, limit: Annotated[int, Query(ge=1, le=50_000, description="How many.")] = 100
) -> list[MeasuredCase]:
    """Return what has been answered to the cases, and measured of it, so far: the least right first."""
    await _head(evaluation_id, caller.tenant_id)
    return await read_cases(evaluation_id, caller.tenant_id, limit=limit)


@router.post("/evaluations/{evaluation_id}/accept")
async def accept_evaluation(evaluation_id: UUID, caller: Runner) -> EvaluationView:
    """Compare later evaluations with this one, although it regressed."""
    async with (await database()).transaction(caller.tenant_id) as connection:
        accepted = (await connection.execute(ACCEPT, {"id": evaluation_id})).rowcount
    head = await _head(evaluation_id, caller.tenant_id)
    if not accepted:
        raise InvalidInput("Only an evaluation that passed or regressed can be accepted.")
    return EvaluationView.model_validate(head)


async def read_found(evaluation_id: UUID, tenant_id: UUID) -> Found | None:
    async with (await database()).transaction(tenant_id) as connection:
        row = (await connection.execute(FOUND, {"id": evaluation_id})).one()
    if row.outcome is None:
        return None
    told: dict[str, Any] = {**row.summary, "outcome": row.outcome}
    return Found.model_validate(told | {"comparison": row.comparison or None, "agreement": row.agreement or None})


async def _head(evaluation_id: UUID, tenant_id: UUID) -> dict[str, Any]:
    async with (await database()).transaction(tenant_id) as connection:
        row: sqlalchemy.RowMapping | None = (
            (await connection.execute(ONE, {"id": evaluation_id})).mappings().one_or_none()
        )
    if row is None:
        raise NotFound("There is no such evaluation.")
    return dict(row)
