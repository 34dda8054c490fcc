"""What becomes of a run when its fork server or Prefect's server does not answer."""
# pyright: reportPrivateUsage=false

import os
import signal
from uuid import uuid4

import anyio
import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.workers.process import ProcessWorker

from deployments.warm import forks, serving
from deployments.warm.forks import CannotFork
from deployments.warm.nursery import Nursery
from deployments.warm.protocol import Job
from deployments.warm.worker import WarmWorker

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing can be forked here")
NOTHING = Job("nowhere.nothing", dict(os.environ), "/", quiet=True)


@pytest.mark.slow
async def test_a_fork_server_that_does_not_answer_is_ended_and_the_next_one_serves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nursery = Nursery(("json",))
    frozen = await nursery.fresh()
    monkeypatch.setattr(forks, "FORK_SECONDS", 1.0)
    os.kill(frozen.process.pid, signal.SIGSTOP)
    with pytest.raises(CannotFork, match="did not answer"):
        await frozen.fork(NOTHING)
    assert await frozen.process.wait() == -signal.SIGKILL, "it could have forked the run later, a second time"
    monkeypatch.setattr(forks, "FORK_SECONDS", 20.0)
    fork = await nursery.fork(NOTHING)
    assert await fork.wait() == 1, "it ran, and found no flow"
    await nursery.close()


async def test_a_fork_that_nobody_waits_for_is_ended_and_the_line_is_heard_on() -> None:
    fork, sleeper = forks.Fork(), await anyio.open_process(["sleep", "60"])
    fork.began.cancel()
    fork.begin(sleeper.pid)
    assert await sleeper.wait() == -signal.SIGKILL


class Unreachable:
    """Answer as a Prefect client whose server is away."""

    async def read_deployment(self, deployment_id: object) -> None:
        raise ConnectionError("nobody listens")


async def test_a_run_that_cannot_be_taken_ends_no_other_and_gives_back_its_slot() -> None:
    worker = WarmWorker("pool", limit=1)
    run = FlowRun(flow_id=uuid4(), deployment_id=uuid4(), name="run")
    worker._limiter = anyio.CapacityLimiter(1)
    worker._limiter.acquire_on_behalf_of_nowait(run.id)
    worker._submitting_flow_run_ids.add(run.id)
    worker._client = Unreachable()  # pyright: ignore[reportAttributeAccessIssue]
    await worker._submit_run(run)
    assert worker._limiter.borrowed_tokens == 0
    assert worker._submitting_flow_run_ids == set()


async def test_a_worker_is_warmed_up_before_it_serves_and_one_that_cannot_fork_needs_nothing() -> None:
    worker = WarmWorker("pool", nursery=Nursery(("json",)))
    await serving.warm_up(worker)
    assert worker.nursery.server is not None
    assert worker.nursery.server.alive
    await worker.nursery.close()
    await serving.warm_up(ProcessWorker("pool"))
