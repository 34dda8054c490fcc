"""The few calls of Prefect's REST API that the shim makes, with a short patience."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from uuid import UUID, uuid5

import httpx
from fastapi import Request, Response

from deployments.shim.forwarding import forward
from deployments.shim.sockets import Upstream
from kowai.errors import Unavailable
from tasks.step import StepRun

StateType = Literal["SCHEDULED", "RUNNING", "COMPLETED", "FAILED", "CRASHED", "CANCELLING", "CANCELLED"]
FINAL = frozenset({"completed", "failed", "crashed", "cancelled"})
BUSY_DELAYS = (0.03, 0.1, 0.3)
PATIENCE = httpx.Timeout(10.0, connect=2.0)


def state(kind: StateType, message: str | None = None) -> dict[str, Any]:
    return {"type": kind, "name": kind.capitalize(), "message": message}


class Refused(Unavailable):
    """Prefect was reached and did not take the call as it is."""

    code = "prefect_refused"


class PrefectApi:
    """Speak to the server that PREFECT_API_URL names."""

    def __init__(self) -> None:
        headers = {"Authorization": f"Bearer {key}"} if (key := os.environ.get("PREFECT_API_KEY")) else {}
        user, _, password = os.environ.get("PREFECT_API_AUTH_STRING", "").partition(":")
        self._client = httpx.AsyncClient(
            base_url=os.environ.get("PREFECT_API_URL", "http://127.0.0.1:4200/api"),
            auth=(user, password) if user else None,
            headers=headers,
            timeout=PATIENCE,
        )
        self._deployments: dict[str, UUID] = {}

    async def close(self) -> None:
        await self._client.aclose()

    async def healthy(self) -> bool:
        try:
            return (await self._client.get("/health", timeout=2.0)).is_success
        except httpx.HTTPError:
            return False

    async def create_run(self, deployment: str, **run: Any) -> UUID:
        """Create a flow run of `deployment` ("flow/name"); one with the same idempotency key is returned instead."""
        deployment_id = await self._deployment_id(deployment)
        created = await self._call("POST", f"/deployments/{deployment_id}/create_flow_run", run)
        return UUID(created["id"])

    async def create_runs(self, deployment: str, runs: Sequence[dict[str, Any]]) -> list[UUID | None]:
        """Create up to 50 runs by one call, as `create_run` does; None for one that Prefect refused."""
        if len(runs) == 1:
            return [await self.create_run(deployment, **runs[0])]
        deployment_id = await self._deployment_id(deployment)
        made = await self._call("POST", f"/deployments/{deployment_id}/create_flow_run/bulk", list(runs))
        ids = [result.get("flow_run_id") for result in made["results"]]
        return [UUID(known) if known else None for known in ids]

    async def set_state(self, flow_run_id: UUID, kind: StateType, message: str) -> None:
        await self._call("POST", f"/flow_runs/{flow_run_id}/set_state", {"state": state(kind, message), "force": True})

    async def set_states(self, flow_run_ids: Sequence[UUID], kind: StateType, message: str) -> set[UUID]:
        """Set up to 50 runs to the same state by one call; return those that took it."""
        if len(flow_run_ids) == 1:
            await self.set_state(flow_run_ids[0], kind, message)
            return set(flow_run_ids)
        wanted = {"id": {"any_": [str(each) for each in flow_run_ids]}}
        body = {"flow_runs": wanted, "state": state(kind, message), "force": True}
        results = (await self._call("POST", "/flow_runs/bulk_set_state", body))["results"]
        return {UUID(result["flow_run_id"]) for result in results if result["status"] != "ABORT"}

    async def resume(self, flow_run_id: UUID, run_input: Mapping[str, Any]) -> bool:
        """Fill in the form that a suspended run waits for; False when it does not wait, or no longer."""
        reply = await self._call("POST", f"/flow_runs/{flow_run_id}/resume", {"run_input": dict(run_input)})
        return reply["status"] == "ACCEPT"

    async def cancel(self, flow_run_id: UUID) -> None:
        """Ask for the end of a run: one that no worker has begun is cancelled at once; one that has ended stays so."""
        await self._call("POST", f"/flow_runs/{flow_run_id}/set_state", {"state": state("CANCELLING"), "force": False})

    async def read_states(self, flow_run_ids: Sequence[UUID]) -> dict[UUID, tuple[str, str]]:
        """Return the type, in small letters, and the name of the state of up to 200 runs, of those that are known."""
        if not flow_run_ids:
            return {}
        wanted = {"flow_runs": {"id": {"any_": [str(each) for each in flow_run_ids]}}, "limit": 200}
        runs = await self._call("POST", "/flow_runs/filter", wanted)
        states = {UUID(run["id"]): run["state"] for run in runs if run["state"]}
        return {run_id: (known["type"].lower(), known["name"]) for run_id, known in states.items()}

    async def record_steps(self, runs: Mapping[UUID, Sequence[StepRun]]) -> None:
        """Record each step of these runs as a task run, with the times at which it really ran."""
        events = [step_event(run, step, place) for run, steps in runs.items() for place, step in enumerate(steps)]
        if events:
            await self._call("POST", "/events", events)

    def stream(self, path: str) -> Upstream:
        """Return where a stream of events or logs is, and what Prefect's own clients show it first."""
        url = self._client.base_url
        scheme = "wss" if url.scheme == "https" else "ws"
        token = os.environ.get("PREFECT_API_KEY") or os.environ.get("PREFECT_API_AUTH_STRING", "")
        return Upstream(str(url.copy_with(scheme=scheme)).rstrip("/") + path, token)

    async def forward(self, request: Request, path: str) -> Response:
        """Hand somebody's own call on, as us."""
        return await forward(self._client, request, path)

    async def _deployment_id(self, name: str) -> UUID:
        if name not in self._deployments:
            self._deployments[name] = UUID((await self._call("GET", f"/deployments/name/{name}"))["id"])
        return self._deployments[name]

    async def _call(self, method: str, path: str, body: Any = None) -> Any:
        try:
            response = await self._client.request(method, path, json=body)
            for delay in BUSY_DELAYS:  # on SQLite, Prefect answers 503 whenever another writer was quicker
                if response.status_code != 503:
                    break
                await asyncio.sleep(delay)
                response = await self._client.request(method, path, json=body)
            response.raise_for_status()
        except httpx.HTTPStatusError as error:
            if error.response.status_code == 404:
                self._deployments.clear()  # a deployment may have been made anew under another id
            kind = Refused if error.response.is_client_error else Unavailable
            raise kind("Prefect refused the call.", operator=f"{error}: {error.response.text[:500]}") from error
        except httpx.HTTPError as error:
            raise Unavailable("Prefect cannot be reached.", operator=repr(error)) from error
        return response.json() if response.content else None


def step_event(flow_run_id: UUID, step: StepRun, place: int) -> dict[str, Any]:
    """Return the event by which Prefect's own client reports a finished task run (prefect.task-run.*)."""
    kind, identity = "FAILED" if step.failure else "COMPLETED", f"{place} {step.name}"  # told again it is the same one
    seconds = (step.ended_at - step.started_at).total_seconds()
    message = f"Failed: {step.failure}" if step.failure else None
    task_run = {
        "name": f"{step.name}-{place}",
        "task_key": step.name,
        "dynamic_key": str(place),
        "run_count": step.attempts,
        "start_time": step.started_at.isoformat(),
        "expected_start_time": step.started_at.isoformat(),
        "end_time": step.ended_at.isoformat(),
        "total_run_time": seconds,
    }
    resource = {
        "prefect.resource.id": f"prefect.task-run.{uuid5(flow_run_id, f'{identity} task run')}",
        "prefect.resource.name": task_run["name"],
        "prefect.run-count": str(step.attempts),
        "prefect.state-message": message or "",
        "prefect.state-name": kind.capitalize(),
        "prefect.state-timestamp": step.ended_at.isoformat(),
        "prefect.state-type": kind,
        "prefect.orchestration": "client",
    }
    return {
        "id": str(uuid5(flow_run_id, identity)),
        "occurred": step.ended_at.isoformat(),
        "event": f"prefect.task-run.{kind.capitalize()}",
        "resource": resource,
        "related": [{"prefect.resource.id": f"prefect.flow-run.{flow_run_id}", "prefect.resource.role": "flow-run"}],
        "payload": {
            "intended": {"from": "RUNNING", "to": kind},
            "initial_state": {"type": "RUNNING", "name": "Running", "message": None, "state_details": {}},
            "validated_state": state(kind, message) | {"state_details": {}, "data": None},  # pyright: ignore
            "task_run": task_run,
        },
    }
