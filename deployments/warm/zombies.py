"""Close the runs of workers that are gone: repeat what is safe to repeat, crash the rest."""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psutil
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkerFilter,
    WorkerFilterStatus,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import ObjectNotFound
from prefect.states import AwaitingRetry, Cancelled, Crashed

from deployments.warm.nursery import logger

REPEATABLE = "repeatable"
MOST_STARTS = 3
LOST_SECONDS = 45  # with the next round this stays below a minute
OPEN = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
LABEL = "prefect.worker.name"

Closed = Callable[[FlowRun, State[Any]], Awaitable[None]]


def worker_name() -> str:
    """Return a name by which others on this machine can tell whether this process still lives."""
    return f"warm-{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"


async def close_zombies(
    client: PrefectClient, pool: str, own_name: str, closed: Closed, at_work: Callable[[], Collection[UUID]] = tuple
) -> int:
    """Close every open run of the pool that no worker works on; return how many there were.

    Args:
        at_work: Which runs the worker itself holds; those that bear its name and are not among them it has lost.
    """
    runs = await open_runs(client, pool)
    gone = await gone_workers(client, pool, own_name, {worker_of(run) for run in runs} - {None, own_name})
    mine = at_work()
    zombies = [run for run in runs if worker_of(run) in gone or lost(run, own_name, mine)]
    for run in zombies:
        await close(client, run, closed)
    return len(zombies)


async def open_runs(client: PrefectClient, pool: str) -> list[FlowRun]:
    state = FlowRunFilterState(type=FlowRunFilterStateType(any_=OPEN))
    pools = WorkPoolFilter(name=WorkPoolFilterName(any_=[pool]))
    return await client.read_flow_runs(flow_run_filter=FlowRunFilter(state=state), work_pool_filter=pools)


def worker_of(run: FlowRun) -> str | None:
    name = run.labels.get(LABEL)
    return str(name) if name else None


def lost(run: FlowRun, own_name: str, at_work: Collection[UUID]) -> bool:
    """Return whether a worker took the run and went before it said who it was, or could not say how it ended."""
    state, worker = run.state, worker_of(run)
    if state is None or datetime.now(UTC) - state.timestamp <= timedelta(seconds=LOST_SECONDS):
        return False
    if worker == own_name:
        return run.id not in at_work
    return worker is None and state.is_pending() and state.state_details.scheduled_time is not None


async def gone_workers(client: PrefectClient, pool: str, own_name: str, names: set[str | None]) -> set[str | None]:
    """Return those of the names that stand for no living worker."""
    if not names:
        return set()
    living = WorkerFilter(status=WorkerFilterStatus(any_=["ONLINE"]))
    online = {worker.name for worker in await client.read_workers_for_work_pool(pool, worker_filter=living)}
    return {name for name in names if name is not None and (name not in online or dead_here(name, own_name))}


def dead_here(name: str, own_name: str) -> bool:
    """Return whether the name belongs to a process of this machine that is no more."""
    parts, own = name.rsplit("-", 2), own_name.rsplit("-", 2)
    if len(parts) != 3 or parts[0] != own[0] or not parts[1].isdigit():
        return False
    return parts[1] == own[1] or not psutil.pid_exists(int(parts[1]))


async def close(client: PrefectClient, run: FlowRun, closed: Closed) -> None:
    """Propose what follows on the loss of a run's worker, unless the run has moved on meanwhile."""
    now = await client.read_flow_run(run.id)
    if now.state is None or run.state is None or now.state.id != run.state.id:
        return
    state = after_loss(now)
    try:
        result = await client.set_flow_run_state(run.id, state, force=now.state.is_cancelling())
    except ObjectNotFound:
        return
    if result.status == SetStateStatus.ACCEPT:
        logger().warning("Flow run %s lost its worker and is now %s.", run.id, state.name)
        await closed(now, state)


def after_loss(run: FlowRun) -> State[Any]:
    """Return the state of a run whose worker is gone."""
    assert run.state is not None
    if run.state.is_cancelling():
        return Cancelled(message="Cancelled: its worker is gone.")
    if run.state.is_pending() and run.start_time is None:
        return AwaitingRetry(message="Its worker went before it began.")
    if REPEATABLE in run.tags and run.run_count < MOST_STARTS:
        return AwaitingRetry(message="Its worker is gone, and it is safe to repeat.")
    return Crashed(message="Its worker is gone.")
