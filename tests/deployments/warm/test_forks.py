"""What becomes of a run when its fork server or Prefect's server does not answer."""
# pyright: reportPrivateUsage=false

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
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
ROOT, DATA = Path(__file__).parents[3], Path(__file__).parent / "warm_data"
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


def told_by(code: str) -> list[str]:
    """Return what a new interpreter prints that runs the code: a process forks before it has a second thread."""
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(DATA)))},
        capture_output=True,
        text=True,
    )
    assert not ended.returncode, ended.stderr
    return ended.stdout.split()


FIRST = """
import asyncio, os
from deployments.warm import fork_server
from deployments.warm.nursery import Nursery
from deployments.warm.protocol import Job

async def main(first):
    nursery = Nursery(("json",), first=first)
    server = await nursery.fresh()
    print(server.process.pid == first.pid)
    fork = await nursery.fork(Job("nowhere.nothing", dict(os.environ), "/", quiet=True))
    print(await fork.wait())
    server.process.kill()
    print(await server.process.wait())
    while server.alive:
        await asyncio.sleep(0.01)
    print((await nursery.fresh()).process.pid != first.pid)
    await nursery.close()

asyncio.run(main(fork_server.branch(("json",))))
"""


def test_a_workers_first_fork_server_is_its_fork_and_the_one_after_it_a_process_of_its_own() -> None:
    assert told_by(FIRST) == ["True", "1", "-9", "True"]


def test_every_module_of_a_package_is_imported_before_a_fork() -> None:
    told = told_by(
        """
        import sys
        from deployments.warm.preload import preload
        preload(("flows",))
        print(*(name for name in sys.modules if name.startswith("flows.")))
        """
    )
    assert set(told) == {f"flows.{file.stem}" for file in (ROOT / "flows").glob("*.py") if file.stem != "__init__"}


def test_a_worker_that_cannot_fork_is_prefects_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving.internals, "moved", lambda: ["something"])
    assert serving.first_fork_server() is None
    assert type(serving.new_worker("pool", None)) is ProcessWorker
