"""A Prefect client that remembers, for a moment, the deployments and flows that a burst of runs asks for again."""

import time
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import Flow
from prefect.client.schemas.responses import DeploymentResponse

REMEMBER_SECONDS = 2.0


class RememberingClient:
    """Answer a repeated read from memory; pass everything else on."""

    def __init__(self, client: PrefectClient) -> None:
        self._client = client
        self._known: dict[UUID, tuple[float, Any]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def read_deployment(self, deployment_id: UUID) -> DeploymentResponse:
        return await self._read(deployment_id, self._client.read_deployment)

    async def read_flow(self, flow_id: UUID) -> Flow:
        return await self._read(flow_id, self._client.read_flow)

    async def _read(self, key: UUID, read: Any) -> Any:
        now = time.monotonic()
        known = self._known.get(key)
        if known is None or now - known[0] > REMEMBER_SECONDS:
            self._known = {each: entry for each, entry in self._known.items() if now - entry[0] <= REMEMBER_SECONDS}
            known = self._known[key] = (now, await read(key))
        return known[1].model_copy(deep=True)  # Prefect merges a run's variables into what it has read
