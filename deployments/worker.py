"""The worker of a process work pool: registers what there is to run, then runs it."""

import asyncio

from deployments.bootstrap import bootstrap
from deployments.warm.serving import new_worker, stop_requests, until, work
from kowai.settings import settings


async def serve() -> None:
    """Register blocks, pool and deployments, say so in the state directory, and work until told to stop."""
    stop, hurry = stop_requests()
    await until(stop, register())
    if not stop.is_set():
        await work(new_worker(settings().work_pool), stop, hurry)


async def register() -> None:
    await bootstrap()
    marker = settings().state.expanduser().absolute() / "run" / "bootstrapped"
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.touch()


if __name__ == "__main__":
    asyncio.run(serve())
