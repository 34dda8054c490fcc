"""A step: a Prefect task inside a Prefect run, timed and recorded later inside a traced one, else a plain function."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext

from kowai.errors import KowaiError
from kowai.types import Value

P = ParamSpec("P")
R = TypeVar("R")

DELAYS = (0.2, 1.0)


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


def is_worth_retrying(error: Any) -> bool:
    """Tell whether the same call may succeed later: only what says so of itself."""
    return isinstance(error, KowaiError) and error.retryable


def step(function: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Turn an async function into a task that is retried by the layer that runs it, and by no other."""
    title = function.__name__.replace("_", "-")
    prefect_task = Task(
        function,
        name=title,
        retries=len(DELAYS),
        retry_delay_seconds=list(DELAYS),
        retry_condition_fn=lambda _task, _run, state: is_worth_retrying(state.data),
        cache_policy=NO_CACHE,
        persist_result=False,
    )

    @wraps(function)
    async def run(*args: P.args, **kwargs: P.kwargs) -> R:
        trace = _trace.get()
        if trace is not None:
            return await _traced(trace, title, lambda: function(*args, **kwargs))
        if FlowRunContext.get() is not None:
            return await prefect_task(*args, **kwargs)
        return await function(*args, **kwargs)

    return run


async def _traced(trace: Trace, name: str, call: Callable[[], Awaitable[R]]) -> R:
    started_at, attempts = datetime.now(UTC), 0
    failure: str | None = None
    try:
        while True:
            try:
                attempts += 1
                return await call()
            except KowaiError as error:
                if attempts > len(DELAYS) or not is_worth_retrying(error):
                    raise
            await asyncio.sleep(DELAYS[attempts - 1])
    except BaseException as error:
        failure = error.code if isinstance(error, KowaiError) else type(error).__name__
        raise
    finally:
        ended_at = datetime.now(UTC)
        trace.steps.append(
            StepRun(name=name, started_at=started_at, ended_at=ended_at, attempts=attempts, failure=failure)
        )
