"""Teams: several personas on one question, along a plan that is sent along or drawn up."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from deployments.shim.handing_over import Task, hand_over
from deployments.shim.identity import Principal, may
from deployments.shim.quoting import QUOTED, ApproveAbove, DryRun
from deployments.shim.repeats import Repeatable
from deployments.shim.routes.chat import RETRY, LastEventId, sequence_of
from deployments.shim.streams import EventStream, Streams, place_for
from deployments.shim.team_views import LISTED, TeamLine, TeamView, read_team, read_teams
from kowai.pricing import Dollars
from kowai.quotes import Quote
from kowai.teams.plan import TeamLimits
from tasks.event_log import read_facts
from tasks.quote_team import quote_team
from tasks.teams import AUTO, Assignment, cancel_team, receive_team

router = APIRouter(prefix="/api/v1", tags=["teams"])
DEPLOYMENT = "run-team/run-stored-team"
TOLD: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"text/event-stream": {}},
        "description": "Events `team.started`, `team.planned`, `team.step`, `team.tool`, at last how it ended.",
    },
    204: {"description": "Everything has been told."},
}

Reader = Annotated[Principal, Depends(may("teams.read"))]
Runner = Annotated[Principal, Depends(may("teams.run"))]
EXAMPLE: Any = {
    "question": "How long is the warranty?",
    "plan": {"steps": [{"id": "facts", "persona": "analyst", "tools": ["search"]}]},
}


class NewTeam(BaseModel):
    """Put a question to a team."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [EXAMPLE]})

    question: str = Field(description="What the team works on.")
    plan: str | dict[str, Any] | None = Field(
        AUTO, description="YAML, or what it says; 'auto': let the planner draw it."
    )
    limits: TeamLimits = Field(TeamLimits(), description="Of all steps together, where the planner draws up the plan.")
    dry_run: bool = DryRun
    approve_above: Dollars | None = ApproveAbove


@router.post("/teams", status_code=202, responses=QUOTED)
async def add_team(
    new: NewTeam, caller: Runner, request: Request, response: Response, repeats: Repeatable
) -> TeamView | Quote:
    """Check the plan, store the team and hand it to a worker; a dry run is answered with a quote and leaves nothing."""
    assignment = Assignment(new.question, new.plan, new.limits, caller.id)
    quote = partial(quote_team, assignment, caller.tenant_id)
    task = Task(DEPLOYMENT, "team_id", [new.model_dump(mode="json")], quote, new.approve_above)
    if new.dry_run:
        response.status_code = 200
        return await task.quoted()
    store = partial(receive_team, assignment, caller.tenant_id)
    team_id = await hand_over(task, store, caller, repeats, request)
    return await read_team(team_id, caller.tenant_id)


@router.get("/teams")
async def get_teams(caller: Reader, limit: Annotated[int, Query(ge=1, le=1000)] = LISTED) -> list[TeamLine]:
    """List teams, newest first."""
    return await read_teams(caller.tenant_id, limit)


@router.get("/teams/{team_id}")
async def get_team(team_id: UUID, caller: Reader) -> TeamView:
    """Return the answer, what is missing from it, and where every step stands."""
    return await read_team(team_id, caller.tenant_id)


@router.post("/teams/{team_id}/cancel")
async def cancel(team_id: UUID, caller: Runner) -> TeamView:
    """End a team with what it has: a worker stops within seconds, and one that has ended stays so."""
    await cancel_team(team_id, caller.tenant_id, caller.name or str(caller.id))
    return await read_team(team_id, caller.tenant_id)


@router.get("/teams/{team_id}/events", response_model=None, responses=TOLD)
async def follow(team_id: UUID, caller: Reader, request: Request, last_event_id: LastEventId = None) -> Response:
    """Follow the team's history from its beginning, or from `Last-Event-ID`, until it ends and long after."""
    team, after = await read_team(team_id, caller.tenant_id), sequence_of(last_event_id)
    if team.finished_at and not await read_facts(team_id, caller.tenant_id, after):
        return Response(status_code=204)  # which ends an EventSource's attempts
    async with place_for(caller) as place:
        told = _events(request.app.state.streams, team_id, caller, after)
        return EventStream(told, place.pop_all())


async def _events(streams: Streams, team_id: UUID, caller: Principal, after: int) -> AsyncGenerator[str]:
    yield RETRY
    async with aclosing(streams.follow(team_id, caller, after)) as told:
        async for facts in told:
            frames = [
                f"id: {one.sequence}\nevent: {one.kind}\ndata: {json.dumps(dict(one.payload))}\n\n" for one in facts
            ]
            yield "".join(frames) or ": waiting\n\n"
