"""Workflows: the deployments that a caller's role may run for its tenant; started, followed and cancelled."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from deployments.catalogue import stanzas
from deployments.shim.forms import checked, form_of
from deployments.shim.identity import Principal, let_pass, may
from deployments.shim.openings import WORKFLOWS, Given, Workflow
from deployments.shim.prefect_api import FINAL, PrefectApi
from deployments.shim.repeats import Repeatable
from deployments.shim.runs import Opening, Runs
from kowai.errors import Forbidden, KowaiError, NotFound, Unavailable
from kowai.limits import LimitReached
from tasks import workflow_runs
from tasks.idempotency import Claim
from tasks.outbox import Along, together
from tasks.workflow_runs import StartedRun, requested

router = APIRouter(prefix="/api/v1", tags=["workflows"])

Reader = Annotated[Principal, Depends(may("workflows.read"))]
Runner = Annotated[Principal, Depends(may("workflows.run"))]


class AlreadyEnded(KowaiError):
    code, http_status = "already_ended", 409


class WorkflowView(BaseModel):
    """Describe a workflow; `parameters` is a JSON Schema, in which there is no tenant: it is always your own."""

    name: str
    description: str
    tags: list[str]
    permission: str
    parameters: dict[str, Any]


class NewRun(BaseModel):
    """Start a workflow with these parameters."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"parameters": {"suite": "handbook"}}]})

    parameters: dict[str, Any] = Field(default_factory=dict[str, Any])


class RunView(StartedRun):
    """Say where a run stands; a null state is not known: Prefect cannot be reached or has forgotten the run."""

    state: str | None = Field(description="accepted, or Prefect's: scheduled, running, completed, failed ...")
    name: str | None = Field(description="The state's own name, such as Regressed.")
    result: str | None = Field(description="Where to read what came of it.")


@router.get("/workflows")
async def list_workflows(caller: Reader) -> list[WorkflowView]:
    """List the workflows that you may start."""
    views: list[WorkflowView] = []
    for name, workflow in WORKFLOWS.items():
        with suppress(Forbidden, LimitReached):
            let_pass(workflow.permission, caller)
            views.append(_described(name))
    return views


@router.get("/workflows/{name}")
async def get_workflow(name: str, caller: Reader) -> WorkflowView:
    """Describe one workflow and its parameters."""
    let_pass(_known(name).permission, caller)
    return _described(name)


@router.post("/workflows/{name}/runs", status_code=202)
async def start_run(name: str, new: NewRun, caller: Runner, request: Request, repeats: Repeatable) -> RunView:
    """Start a workflow for your tenant; what is accepted is started, also if Prefect is away just now."""
    let_pass(_known(name).permission, caller)
    given = checked(name, new.parameters)

    async def start(claimed: Claim | None) -> UUID:
        workflow, runs = _known(name), request.app.state.runs
        assert isinstance(runs, Runs)
        deployment = workflow.carried_out_by
        opening = Opening(deployment, caller.tenant_id, datetime.now(UTC), "SCHEDULED", claimed=claimed)

        def begin(subject: str, parameters: Given | None = None) -> Along:
            return together(requested(name, caller.id), opening._replace(given=parameters).along(subject))

        run_id = await workflow.open(given, caller, begin)
        await runs.start(deployment, tenant_id=caller.tenant_id, opened=opening, run_id=run_id)
        return run_id

    run = await repeats.once([name, given], caller, start)
    return await get_run(run.id, caller, request)


@router.get("/workflow-runs")
async def list_runs(caller: Reader, request: Request, limit: Annotated[int, Query(ge=1, le=200)] = 50) -> list[RunView]:
    """List what was started through this API for your tenant, newest first."""
    return await _shown(await workflow_runs.list_runs(caller.tenant_id, limit=limit), request)


@router.get("/workflow-runs/{run_id}")
async def get_run(run_id: UUID, caller: Reader, request: Request) -> RunView:
    """Say where a run stands."""
    return (await _shown([await workflow_runs.find_run(run_id, caller.tenant_id)], request))[0]


@router.post("/workflow-runs/{run_id}/cancel", status_code=202)
async def cancel_run(run_id: UUID, caller: Runner, request: Request) -> RunView:
    """Cancel a run that has not ended; items of it that are not done are refused or dead, with that cause."""
    found = await get_run(run_id, caller, request)
    let_pass(WORKFLOWS[found.workflow].permission if found.workflow in WORKFLOWS else "workflows.run", caller)
    if found.state in FINAL:
        raise AlreadyEnded(f"This run has ended already: it is {found.state}.")
    run = await workflow_runs.call_off(run_id, caller.tenant_id)
    if run.flow_run_id is not None:
        prefect: PrefectApi = request.app.state.prefect
        await prefect.cancel(run.flow_run_id)
    return await get_run(run_id, caller, request)


async def _shown(runs: list[StartedRun], request: Request) -> list[RunView]:
    prefect: PrefectApi = request.app.state.prefect
    states: dict[UUID, tuple[str, str]] = {}
    with suppress(Unavailable):
        states = await prefect.read_states([run.flow_run_id for run in runs if run.flow_run_id is not None])
    return [_view(run, states) for run in runs]


def _view(run: StartedRun, states: dict[UUID, tuple[str, str]]) -> RunView:
    if run.flow_run_id is None:
        state, name = ("cancelled", None) if run.cancelled_at else ("accepted", None)
    else:
        state, name = states.get(run.flow_run_id, (None, None))
    where = WORKFLOWS[run.workflow].result if run.workflow in WORKFLOWS else None
    result = where.format(run.id) if where else None
    return RunView(**run.model_dump(), state=state, name=name, result=result)


def _known(name: str) -> Workflow:
    if name not in WORKFLOWS:
        raise NotFound(f"There is no workflow '{name}' to be started here.")
    return WORKFLOWS[name]


def _described(name: str) -> WorkflowView:
    stanza = stanzas()[name]
    return WorkflowView(
        name=name,
        description=stanza["description"],
        tags=stanza["tags"],
        permission=WORKFLOWS[name].permission,
        parameters=form_of(name).model_json_schema(),
    )
