"""Whether this process lives, is ready, and what it stands on; how that is in detail only operators are told."""

import time
from importlib.metadata import version
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import HTTPAuthorizationCredentials
from pydantic import BaseModel

from deployments.shim.components import Component, Components, Resources, State, resources
from deployments.shim.identity import anyone, authenticate, bearer
from kowai.errors import KowaiError
from kowai.permissions import require

router = APIRouter(tags=["health"], dependencies=[Depends(anyone)])

NEEDED = ("database", "embedder")

Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


class Health(BaseModel):
    """Show each component; chat needs the database and the embedder, and does without the others.

    Version, uptime, resources and details are shown to who has the permission health.read.
    """

    status: State
    components: dict[str, Component]
    version: str | None = None
    uptime_seconds: float | None = None
    resources: Resources | None = None


@router.get("/live")
async def live() -> dict[str, str]:
    """Answer whenever the process can."""
    return {"status": "ok"}


@router.get("/ready", responses={503: {"model": Health}}, response_model_exclude_none=True)
async def ready(request: Request, response: Response) -> Health:
    """Answer 200 only when a question can be answered."""
    found = await _looked(request)
    if found.status == "down":
        response.status_code = 503
    return _for_strangers(found)


@router.get("/health", response_model_exclude_none=True)
async def health(request: Request, credentials: Credentials) -> Health:
    """Look at every component."""
    found = await _looked(request)
    return found if await _may_know(request, credentials) else _for_strangers(found)


async def _looked(request: Request) -> Health:
    components: Components = request.app.state.components
    states = await components.look()
    fine = all(component.state == "ok" for component in states.values())
    worst: State = "down" if any(states[name].state == "down" for name in NEEDED) else "ok" if fine else "degraded"
    uptime = round(time.monotonic() - request.app.state.started, 1)
    told = Health(status=worst, components=states, version=version("kowai"), uptime_seconds=uptime)
    return told.model_copy(update={"resources": resources()})


def _for_strangers(found: Health) -> Health:
    bare = {name: Component(state=component.state) for name, component in found.components.items()}
    return Health(status=found.status, components=bare)


async def _may_know(request: Request, credentials: HTTPAuthorizationCredentials | None) -> bool:
    """Tell whether an operator asks; who cannot be recognised, as while the database is away, is a stranger."""
    if credentials is None:
        return False
    try:
        caller = await authenticate(request, credentials)
        require("health.read", caller.role, caller.scopes)
    except KowaiError:
        return False
    return True
