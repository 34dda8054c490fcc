"""A step is retried by whoever runs it, and only when that can help."""

import pytest

from kowai.errors import InvalidInput, Unavailable
from tasks import step as step_module
from tasks.step import step, traced


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_module, "DELAYS", (0.0, 0.0))


def failing(times: int, error: Exception):
    calls: list[int] = []

    @step
    async def fetch_number() -> int:
        calls.append(1)
        if len(calls) <= times:
            raise error
        return 42

    return fetch_number, calls


async def test_outside_a_flow_a_step_is_a_plain_function() -> None:
    fetch_number, calls = failing(1, Unavailable("not now"))
    with pytest.raises(Unavailable):
        await fetch_number()
    assert len(calls) == 1


async def test_a_traced_step_is_retried_while_that_may_help_and_leaves_one_record() -> None:
    fetch_number, _ = failing(2, Unavailable("not now"))
    with traced() as trace:
        assert await fetch_number() == 42
    (run,) = trace.steps
    assert (run.name, run.attempts, run.failure) == ("fetch-number", 3, None)
    assert run.started_at <= run.ended_at


async def test_a_traced_step_gives_up_after_the_last_delay() -> None:
    fetch_number, calls = failing(9, Unavailable("not now"))
    with traced() as trace, pytest.raises(Unavailable):
        await fetch_number()
    assert len(calls) == 3
    assert trace.steps[0].failure == "unavailable"


async def test_an_error_that_no_retry_can_mend_is_raised_at_once() -> None:
    fetch_number, calls = failing(1, InvalidInput("never"))
    with traced() as trace, pytest.raises(InvalidInput):
        await fetch_number()
    assert len(calls) == 1
    assert trace.steps[0].failure == "invalid_input"


async def test_traces_of_two_flows_do_not_mix() -> None:
    fetch_number, _ = failing(0, Unavailable(""))
    with traced() as outer:
        await fetch_number()
    with traced() as other:
        pass
    assert len(outer.steps) == 1
    assert other.steps == []
