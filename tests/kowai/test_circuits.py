"""A circuit leaves a failing target alone and lets one caller find out whether it is back."""

from hypothesis import given
from hypothesis import strategies as st

from kowai.circuits import LONGEST_SECONDS, Circuit


def opened(now: float = 0.0) -> Circuit:
    circuit = Circuit(threshold=2, cooldown=30.0)
    circuit.fail(now)
    circuit.fail(now)
    return circuit


def test_one_failure_opens_nothing_and_a_success_forgets_it() -> None:
    circuit = Circuit(threshold=2)
    circuit.fail(0)
    circuit.succeed()
    circuit.fail(0)
    assert circuit.enter(0)


def test_two_failures_in_a_row_open_it_for_the_cooldown() -> None:
    circuit = opened()
    assert not circuit.enter(29.9)
    assert circuit.rests(10) == 20
    assert circuit.enter(30)


def test_a_half_open_circuit_lets_a_single_probe_through() -> None:
    circuit = opened()
    assert [circuit.enter(31) for _ in range(5)] == [True, False, False, False, False]
    circuit.succeed()
    assert all(circuit.enter(31) for _ in range(5))


def test_a_failed_probe_opens_it_for_twice_as_long() -> None:
    circuit = opened()
    assert circuit.enter(30)
    circuit.fail(30)
    assert not circuit.enter(89)
    assert circuit.enter(90)


def test_a_probe_that_says_nothing_about_health_lets_the_next_one_through() -> None:
    circuit = opened()
    assert circuit.enter(30)
    circuit.leave()
    assert circuit.enter(30)


def test_what_the_server_asks_for_goes_before_the_threshold_but_is_capped() -> None:
    circuit = Circuit()
    circuit.fail(0, retry_after=5)
    assert not circuit.enter(4.9)
    assert circuit.enter(5)
    circuit.fail(5, retry_after=1e9)
    assert circuit.rests(5) == LONGEST_SECONDS


@given(st.lists(st.sampled_from(["enter", "fail", "succeed", "leave", "wait"]), max_size=60))
def test_however_it_is_used_it_opens_again_in_the_end(moves: list[str]) -> None:
    circuit, now = Circuit(), 0.0
    for move in moves:
        if move == "enter":
            circuit.enter(now)
        elif move == "fail":
            circuit.fail(now)
        elif move == "wait":
            now += 7.0
        else:
            getattr(circuit, move)()
    circuit.leave()
    assert circuit.enter(now + LONGEST_SECONDS)
