"""The worker of a process work pool: registers what there is to run, then runs it."""

import asyncio

from prefect.workers.process import ProcessWorker

from deployments.bootstrap import bootstrap
from deployments.clearing import keep_clearing
from deployments.local.environment import own_prefect
from deployments.local.given_secrets import check_given_secrets
from deployments.local.layout import Layout
from deployments.logs import configure
from deployments.warm.branches import Branch
from deployments.warm.hosts import keep_to_one_host
from deployments.warm.serving import first_fork_server, new_worker, stop_requests, until, work
from kowai.settings import settings

BREATH_SECONDS = 0.05


async def serve(first: Branch | None) -> None:
    """Register blocks, pool and deployments, and work until told to stop."""
    configure()
    check_given_secrets(settings())
    stop, hurry = stop_requests()
    worker = new_worker(settings().work_pool, first)
    await until(stop, bootstrap())
    if not stop.is_set():
        await keep_to_one_host(embedded=own_prefect(settings()) is None)
        beside = [asyncio.create_task(announce(worker)), asyncio.create_task(keep_clearing(alone=True))]
        await work(worker, stop, hurry)
        for task in beside:
            task.cancel()


async def announce(worker: ProcessWorker) -> None:
    """Say in the state directory that Prefect knows the worker, as soon as it does."""
    while not worker.is_setup:  # noqa: ASYNC110 -- Prefect offers no event
        await asyncio.sleep(BREATH_SECONDS)
    marker = Layout(settings().state.expanduser().absolute()).worker_online
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.touch()


if __name__ == "__main__":
    asyncio.run(serve(first_fork_server()))
