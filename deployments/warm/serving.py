"""Serve a work pool until told to stop: warm where that is possible, as Prefect does where it is not."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from prefect.logging import get_logger
from prefect.workers.process import ProcessWorker

from deployments.warm import internals
from deployments.warm.branches import Branch
from deployments.warm.nursery import FLOWS, Nursery


async def work(worker: ProcessWorker, stop: asyncio.Event, hurry: asyncio.Event) -> None:
    """Serve the pool until told to stop; then finish or hand back what runs."""
    await until(stop, worker.start(printer=get_logger("kowai.warm").info), lambda: finish(worker, hurry))


async def until(
    stop: asyncio.Event, job: Coroutine[Any, Any, None], before: Callable[[], Awaitable[None]] | None = None
) -> None:
    """Do a job to its end, or cancel it when told to stop, after what has to come before that."""
    doing, stopping = asyncio.create_task(job), asyncio.create_task(stop.wait())
    await asyncio.wait({doing, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if doing.done():
        return await doing
    if before is not None:
        await before()
    doing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await doing


def first_fork_server() -> Branch | None:
    """Fork a fork server from this process, before it has a second thread; None where runs are not forked."""
    if internals.moved() or not hasattr(os, "fork"):
        return None
    from deployments.warm import fork_server

    return fork_server.branch(FLOWS)


def new_worker(pool: str, first: Branch | None = None, **options: Any) -> ProcessWorker:
    """Return a warm worker; Prefect's own, with a warning, where its internals have moved or nothing can be forked."""
    moved = internals.moved()
    if moved or not hasattr(os, "fork"):
        reason = f"Prefect has moved {', '.join(moved)}" if moved else "this system cannot fork"
        get_logger("kowai.warm").warning("Runs start as plain subprocesses, which takes seconds: %s.", reason)
        return ProcessWorker(work_pool_name=pool, **options)
    from deployments.warm.worker import WarmWorker

    return WarmWorker(work_pool_name=pool, nursery=Nursery(first=first), **options)


async def finish(worker: ProcessWorker, hurry: asyncio.Event) -> None:
    """Let the worker finish or hand back its runs, if it can and has begun to work."""
    drain = getattr(worker, "drain", None)
    if worker.is_setup and drain is not None:
        try:
            await drain(hurry)
        except Exception:
            get_logger("kowai.warm").exception("Some runs could not be handed back; the next worker closes them.")


def stop_requests() -> tuple[asyncio.Event, asyncio.Event]:
    """Return what the first and what the second SIGTERM or SIGINT sets."""
    stop, hurry = asyncio.Event(), asyncio.Event()

    def request() -> None:
        (hurry if stop.is_set() else stop).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, request)
    return stop, hurry
