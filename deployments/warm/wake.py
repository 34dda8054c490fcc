"""Be told when a flow run of a work pool is due, instead of asking every ten seconds."""

import asyncio
from collections.abc import Callable

from prefect.client.orchestration import get_client
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventAnyResourceFilter, EventFilter, EventNameFilter

from deployments.warm.nursery import logger

DUE = tuple(f"prefect.flow-run.{state}" for state in ("Scheduled", "AwaitingRetry", "Resuming"))
RETRY_SECONDS = 5.0


async def listen(pool: str, wake: Callable[[], None]) -> None:
    """Call `wake` for every event that makes a run of the pool due; connect again for as long as it takes."""
    while True:
        try:
            await _hear(pool, wake)
        except Exception as error:
            logger().warning("No events from Prefect, so runs start at the next poll: %s", error)
        await asyncio.sleep(RETRY_SECONDS)


async def _hear(pool: str, wake: Callable[[], None]) -> None:
    async with get_client() as client:
        pool_id = (await client.read_work_pool(pool)).id
    resource = EventAnyResourceFilter(id=[f"prefect.work-pool.{pool_id}"])
    wanted = EventFilter(event=EventNameFilter(name=list(DUE)), any_resource=resource)
    async with get_events_subscriber(filter=wanted) as events:
        wake()
        async for _ in events:
            wake()
