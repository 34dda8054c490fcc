"""Batches: many questions to several personas, quoted, followed and downloaded."""

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from deployments.shim.batch_views import BatchView, Results, read_batch, read_file, read_results
from deployments.shim.identity import Principal, may
from deployments.shim.quoting import ApproveAbove
from deployments.shim.repeats import Repeatable
from deployments.shim.routes.question_sets import Row
from deployments.shim.runs import Opening, Runs
from kowai.personas import askable
from kowai.pricing import Dollars
from kowai.question_sets import MOST_QUESTIONS, read_rows
from tasks.approvals import offered
from tasks.batches import Order, receive_batch
from tasks.idempotency import Claim, settling
from tasks.outbox import together
from tasks.question_sets import find_question_set, receive_question_set
from tasks.quote import quote_batch

router = APIRouter(prefix="/api/v1", tags=["batches"])
DEPLOYMENT = "run-personas/run-stored-batch"
MEDIA = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}

Reader = Annotated[Principal, Depends(may("batches.read"))]
Runner = Annotated[Principal, Depends(may("batches.run"))]


class NewBatch(BaseModel):
    """Ask a stored set, or the questions sent along, of every persona named."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"questions": ["How long is the warranty?"], "personas": ["assistant"]}]},
    )

    question_set: str | None = Field(None, description="The id or the name of a stored set.")
    questions: list[str | Row] = Field(default_factory=list[str | Row], max_length=2 * MOST_QUESTIONS)
    personas: list[str] = Field(min_length=1, description=f"Who answers: {', '.join(askable())}.")
    dry_run: bool = Field(False, description="Only say what it would take in tokens, US dollars and minutes.")
    approve_above: Dollars | None = ApproveAbove

    @model_validator(mode="after")
    def _either(self) -> "NewBatch":
        if bool(self.questions) == bool(self.question_set):
            raise ValueError("send either question_set or questions")
        return self


@router.post("/batches", status_code=202)
async def add_batch(
    new: NewBatch, caller: Runner, request: Request, response: Response, repeats: Repeatable
) -> BatchView:
    """Quote a batch and hand it to a worker; a dry run stops after the quote."""
    opened = Opening(DEPLOYMENT, caller.tenant_id, datetime.now(UTC), "SCHEDULED")

    async def receive(claimed: Claim | None) -> UUID:
        set_id = await _set_of(new, caller.tenant_id)
        order = Order(set_id, new.personas, new.dry_run, caller.id)
        quote = (await quote_batch(order, caller.tenant_id)).above(new.approve_above)
        begun = settling(claimed) if new.dry_run else opened._replace(claimed=claimed).along("batch_id")
        along = together(offered("run-personas", quote, dry_run=new.dry_run), begun)
        return await receive_batch(order, caller.tenant_id, along=along)

    batch_id, _ = await repeats.once(["/batches", new.model_dump(mode="json")], caller, receive)
    if new.dry_run:
        response.status_code = 200
    else:
        runs: Runs = request.app.state.runs
        await runs.start(DEPLOYMENT, tenant_id=caller.tenant_id, opened=opened, batch_id=batch_id)
    return await read_batch(batch_id, caller.tenant_id)


@router.get("/batches/{batch_id}")
async def get_batch(batch_id: UUID, caller: Reader) -> BatchView:
    """Return a batch's quote and where its items stand."""
    return await read_batch(batch_id, caller.tenant_id)


Format = Annotated[Literal["json", "csv", "jsonl"], Query(description="A page of JSON, or a file.")]


@router.get("/batches/{batch_id}/results", response_model=Results)
async def get_results(batch_id: UUID, caller: Reader, format: Format = "json") -> Results | Response:
    """Compare the personas question by question, with confidence and cost; of a running batch what is there so far."""
    if format == "json":
        return await read_results(batch_id, caller.tenant_id)
    content = await read_file(batch_id, caller.tenant_id, format)
    named = {"Content-Disposition": f'attachment; filename="batch-{batch_id}.{format}"'}
    return Response(content, media_type=MEDIA[format], headers=named)


async def _set_of(new: NewBatch, tenant_id: UUID) -> UUID:
    if new.question_set:
        return await find_question_set(new.question_set, tenant_id)
    rows = [row if isinstance(row, str) else row.model_dump() for row in new.questions]
    parsed = read_rows(rows)
    if parsed.bad:
        raise parsed.bad[0].error  # whoever sends JSON can mend it; a file's bad lines are named by its own route
    return await receive_question_set("sent with a batch", parsed.questions, tenant_id)
