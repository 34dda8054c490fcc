"""A step: a Prefect task inside a Prefect run, timed and recorded later inside a traced one, else a plain function."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

import structlog
from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext

from kowai.correlation import correlated, tagged
from kowai.errors import DatabaseAway, KowaiError
from kowai.types import Value

log = structlog.get_logger()

P = ParamSpec("P")
R = TypeVar("R")
Delays = tuple[float, ...]

DELAYS = (0.2, 1.0)
PATIENCE = (3.0, 10.0, 30.0)  # what background work adds to wait for a database that restarts


class StepRun(Value):
    """Record when one step ran, how often, and the code it failed with."""

    name: str
    started_at: datetime
    ended_at: datetime
    attempts: int
    failure: str | None = None


@dataclass
class Trace:
    """Collect the steps of one flow that runs outside Prefect's engine."""

    steps: list[StepRun] = field(default_factory=list[StepRun])


_trace: ContextVar[Trace | None] = ContextVar("trace", default=None)


@contextmanager
def traced() -> Generator[Trace]:
    """Run the steps inside the block here and now, outside Prefect's engine, and collect what they did."""
    trace = Trace()
    token = _trace.set(trace)
    try:
        yield trace
    finally:
        _trace.reset(token)


def own_run() -> UUID | None:
    """Return the id of the Prefect run that this is a part of."""
    run = FlowRunContext.get()
    return run.flow_run.id if run and run.flow_run else None


def is_worth_retrying(error: Any) -> bool:
    """Tell whether the same call may succeed later: only what says so of itself."""
    return isinstance(error, KowaiError) and error.retryable


def delay_after(error: Any, attempts: int, more: Delays = ()) -> float | None:
    """Return the seconds to wait before the next attempt, or None where there is none."""
    delays = DELAYS + (more if isinstance(error, DatabaseAway) else ())
    return delays[attempts - 1] if is_worth_retrying(error) and attempts <= len(delays) else None


def step(function: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Turn an async function into a task that is retried by the layer that runs it, and by no other."""
    return _step(function, ())


def patient_step(function: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Do what `step` does for background work: nobody waits for it, so that it waits for the database."""
    return _step(function, PATIENCE)


def _step(function: Callable[P, Coroutine[Any, Any, R]], more: Delays) -> Callable[P, Coroutine[Any, Any, R]]:
    title = function.__name__.replace("_", "-")
    prefect_task = Task(
        function,
        name=title,
        retries=len(DELAYS + more),
        retry_delay_seconds=list(DELAYS + more),
        retry_condition_fn=lambda _task, run, state: delay_after(state.data, run.run_count, more) is not None,
        cache_policy=NO_CACHE,
        persist_result=False,
    )

    @wraps(function)
    async def run(*args: P.args, **kwargs: P.kwargs) -> R:
        trace, context = _trace.get(), FlowRunContext.get()
        if trace is not None:
            return await _traced(trace, title, lambda: function(*args, **kwargs), more)
        if context is None:
            return await function(*args, **kwargs)
        with correlated(tagged(context.flow_run.tags if context.flow_run else ())):
            began = datetime.now(UTC)
            try:
                return await prefect_task(*args, **kwargs)
            finally:
                _log(title, began, sys.exception())

    return run


async def _traced(trace: Trace, name: str, call: Callable[[], Awaitable[R]], more: Delays) -> R:
    started_at, attempts = datetime.now(UTC), 0
    failure: str | None = None
    try:
        while True:
            try:
                attempts += 1
                return await call()
            except KowaiError as error:
                delay = delay_after(error, attempts, more)
                if delay is None:
                    raise
            await asyncio.sleep(delay)
    except BaseException as error:
        failure = _code(error)
        raise
    finally:
        ended_at = _log(name, started_at, sys.exception())
        trace.steps.append(
            StepRun(name=name, started_at=started_at, ended_at=ended_at, attempts=attempts, failure=failure)
        )


def _log(name: str, began: datetime, error: BaseException | None) -> datetime:
    """Log that a step ended, how long it took and the code it failed with; return when."""
    ended = datetime.now(UTC)
    failed = {"code": _code(error)} if error else {}
    log.info("step", step=name, ms=round((ended - began).total_seconds() * 1000, 1), **failed)
    return ended


def _code(error: BaseException) -> str:
    return error.code if isinstance(error, KowaiError) else type(error).__name__
