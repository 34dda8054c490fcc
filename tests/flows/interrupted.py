"""Ingest in a process that kills itself with SIGKILL when it has passed so many boundaries of steps."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

from blocks import connections
from blocks.embedder import Embedder, local_model
from blocks.policy import Policy
from tasks import step as steps

BATCH = 2
make_step = steps._step
left = 0


def counted_step(function: Callable[..., Any], more: tuple[float, ...]) -> Callable[..., Any]:
    """Make a step as ever, and a boundary behind it."""
    made = make_step(function, more)

    @wraps(function)
    async def run(*args: Any, **kwargs: Any) -> Any:
        global left
        found = await made(*args, **kwargs)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    return run


def ingest(ingestion_id: UUID, tenant_id: UUID, boundary: int) -> None:
    """Carry the ingestion out; killed behind the step of that number, if that is not 0."""
    global left
    from flows import ingest

    left, ingest.FIRST, ingest.AT_ONCE = boundary, BATCH, 1
    ingest.batch_of = lambda _: BATCH
    with steps.traced():
        asyncio.run(ingest.ingest_stored.fn(ingestion_id, tenant_id))


def in_a_child(ingestion_id: UUID, tenant_id: UUID, boundary: int) -> int:
    """Return the number of the signal that ended the child, 0 for one that came to its end."""
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        assert os.WIFSIGNALED(status) or status == 0
        return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    try:
        ingest(ingestion_id, tenant_id, boundary)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        os._exit(1)
    os._exit(0)


def main() -> None:
    """Read an ingestion, its tenant and a boundary from each line; write which signals ended its two children."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # steps log to the standard output
    steps._step = counted_step
    import flows.ingest  # noqa: F401 -- once, for all the children

    for kind in (Embedder, Policy):  # nobody answers who could be asked for blocks
        connections._known[kind] = connections.Known(None, time.monotonic() + 1e6)
    local_model()  # it has no threads yet, so that a fork can use it
    for line in sys.stdin:
        ingestion_id, tenant_id, boundary = line.split()
        known = UUID(ingestion_id), UUID(tenant_id)
        ends = in_a_child(*known, int(boundary)), in_a_child(*known, 0)
        replies.write(f"{ends[0]} {ends[1]}\n")
        replies.flush()


if __name__ == "__main__":
    main()
