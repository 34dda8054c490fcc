"""What becomes of a run whose worker is gone."""

import os
import socket
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun, State, StateDetails, StateType
from prefect.states import Cancelling, Pending, Running

from deployments.warm import zombies


def run(state: State, **fields: object) -> FlowRun:
    return FlowRun.model_validate({"flow_id": uuid4(), "state": state, "name": "run", **fields})


@pytest.mark.parametrize(
    ("lost", "name"),
    [
        (run(Running(), start_time=datetime.now(UTC), run_count=1), "Crashed"),
        (run(Running(), start_time=datetime.now(UTC), run_count=1, tags=["repeatable"]), "AwaitingRetry"),
        (run(Running(), start_time=datetime.now(UTC), run_count=3, tags=["repeatable"]), "Crashed"),
        (run(Pending()), "AwaitingRetry"),
        (run(Cancelling(), start_time=datetime.now(UTC)), "Cancelled"),
    ],
)
def test_what_is_safe_is_repeated_a_few_times_and_the_rest_is_closed(lost: FlowRun, name: str) -> None:
    assert zombies.after_loss(lost).name == name


def pending(age: timedelta, scheduled: datetime | None) -> State:
    details = StateDetails(scheduled_time=scheduled)
    return State(type=StateType.PENDING, timestamp=datetime.now(UTC) - age, state_details=details)


def test_a_run_that_was_taken_and_never_labelled_is_lost_after_a_while() -> None:
    now, old, new = datetime.now(UTC), timedelta(seconds=90), timedelta(seconds=5)
    assert zombies.lost(run(pending(old, now)), "me", ())
    assert not zombies.lost(run(pending(new, now)), "me", ())
    assert not zombies.lost(run(pending(old, None)), "me", ()), "a run that starts in process was never in a queue"
    assert not zombies.lost(run(pending(old, now), labels={"prefect.worker.name": "someone"}), "me", ())


def test_a_run_that_bears_the_workers_own_name_and_is_not_at_work_is_lost_after_a_while() -> None:
    now, old, new = datetime.now(UTC), timedelta(seconds=90), timedelta(seconds=5)
    mine = {"prefect.worker.name": "me"}
    stuck = run(pending(old, now), labels=mine)
    assert zombies.lost(stuck, "me", ()), "its end could not be told to Prefect"
    assert not zombies.lost(stuck, "me", {stuck.id})
    assert not zombies.lost(run(pending(new, now), labels=mine), "me", ()), "it may be on its way to another worker"


def test_a_worker_is_known_dead_only_on_its_own_machine() -> None:
    own = zombies.worker_name()
    host = socket.gethostname()
    assert zombies.dead_here(f"warm-{host}-4194999-0a1b2c3d", own)
    assert zombies.dead_here(f"warm-{host}-{os.getpid()}-0a1b2c3d", own), "an earlier process had this number"
    assert not zombies.dead_here(f"warm-{host}-{os.getppid()}-0a1b2c3d", own)
    assert not zombies.dead_here("warm-elsewhere-4194999-0a1b2c3d", own)
    assert not zombies.dead_here("ProcessWorker 7d9e1c5a", own)
