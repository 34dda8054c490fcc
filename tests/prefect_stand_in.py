"""A stand-in for Prefect's REST API over real HTTP, which can be out of order, stopped and started again."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, Request, Response

from tests.deployments.serving import serving


class StandIn:
    """Remember what Prefect would have been told."""

    def __init__(self) -> None:
        self.broken = self.refuses_many = False
        self.runs: dict[str, dict[str, Any]] = {}
        self.states: list[tuple[str, str]] = []
        self.messages: list[str] = []
        self.events: list[dict[str, Any]] = []
        self.app = FastAPI()
        self.app.middleware("http")(self._maybe_broken)
        self.app.get("/deployments/name/{flow}/{name}")(self._find)
        self.app.post("/deployments/{deployment_id}/create_flow_run")(self._create)
        self.app.post("/deployments/{deployment_id}/create_flow_run/bulk")(self._create_many)
        self.app.post("/flow_runs/{run_id}/set_state")(self._set_state)
        self.app.post("/flow_runs/bulk_set_state")(self._set_states)
        self.app.post("/flow_runs/filter")(self._filtered)
        self.app.post("/events")(self._record)
        self.app.get("/health")(lambda: True)

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncGenerator[str]:
        """Listen until the block ends; yield the API's URL."""
        async with serving(self.app, port=port) as url:
            yield url

    async def _find(self, flow: str, name: str) -> dict[str, str]:
        return {"id": str(uuid4())}

    async def _maybe_broken(self, request: Request, call_next: Any) -> Response:
        return Response(status_code=500) if self.broken else await call_next(request)

    async def _create(self, request: Request) -> dict[str, Any]:
        return self._known(await request.json())

    async def _create_many(self, request: Request) -> Any:
        if self.refuses_many:
            return Response(status_code=404)
        made = [self._known(body) for body in await request.json()]
        return {"results": [{"flow_run_id": run["id"], "status": "CREATED"} for run in made]}

    def _known(self, body: dict[str, Any]) -> dict[str, Any]:
        return self.runs.setdefault(body["idempotency_key"], {"id": str(uuid4()), **body})

    async def _set_state(self, run_id: str, request: Request) -> dict[str, Any]:
        state = (await request.json())["state"]
        self.states.append((run_id, state["type"]))
        self.messages.append(state["message"])
        return {}

    async def _filtered(self, request: Request) -> list[dict[str, Any]]:
        wanted: list[str] = (await request.json())["flow_runs"]["id"]["any_"]
        kinds = {run["id"]: "SCHEDULED" for run in self.runs.values()} | dict(self.states)
        found = {run_id: kinds[run_id] for run_id in wanted if run_id in kinds}
        return [{"id": one, "state": {"type": kind, "name": kind.title()}} for one, kind in found.items()]

    async def _set_states(self, request: Request) -> dict[str, Any]:
        body = await request.json()
        wanted: list[str] = body["flow_runs"]["id"]["any_"]
        self.states += [(run_id, body["state"]["type"]) for run_id in wanted]
        self.messages.append(body["state"]["message"])
        return {"results": [{"flow_run_id": run_id, "status": "ACCEPT"} for run_id in wanted]}

    async def _record(self, request: Request) -> None:
        self.events += await request.json()
