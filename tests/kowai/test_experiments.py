"""An experiment's arms are stable, and its test keeps its error rate however often one looks."""

from uuid import UUID, uuid4

import numpy as np
import pytest

from kowai.experiments import ALPHA, LEAST_OUTCOMES, arm_of, lift, verdict

SEED, RUNS, MOST, STEP = 20_250_101, 200, 1_500, 50
ONE = UUID("8d5b2d1e-6a0b-4f0c-9d57-4a3a4f6b6f01")


def first_verdict(control: np.ndarray, candidate: np.ndarray, metric: str) -> str | None:
    """Look after every few outcomes, and stop at the first verdict."""
    for count in range(LEAST_OUTCOMES, MOST + 1, STEP):
        found = verdict(lift(control[:count], candidate[:count], metric), metric)
        if found:
            return found
    return None


def liked(random: np.random.Generator, share: float) -> np.ndarray:
    return (random.random(MOST) < share).astype(float)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_looking_again_and_again_at_equal_arms_errs_no_more_often_than_allowed(share: float) -> None:
    random = np.random.default_rng(SEED)
    verdicts = [first_verdict(liked(random, share), liked(random, share), "feedback") for _ in range(RUNS)]
    assert sum(each is not None for each in verdicts) / RUNS <= ALPHA


def test_looking_again_and_again_at_equal_latencies_errs_no_more_often_than_allowed() -> None:
    random = np.random.default_rng(SEED)
    sides = [(random.lognormal(0, 0.8, MOST), random.lognormal(0, 0.8, MOST)) for _ in range(RUNS)]
    assert sum(first_verdict(*each, "latency") is not None for each in sides) / RUNS <= ALPHA


@pytest.mark.parametrize(("share", "expected"), [(0.7, "won"), (0.5, "lost")])
def test_a_difference_of_ten_points_is_nearly_always_found_and_called_by_its_name(share: float, expected: str) -> None:
    random = np.random.default_rng(SEED)
    verdicts = [first_verdict(liked(random, 0.6), liked(random, share), "feedback") for _ in range(RUNS)]
    assert verdicts.count(expected) / RUNS >= 0.9
    assert verdicts.count("won" if expected == "lost" else "lost") / RUNS <= 0.01


def test_the_interval_holds_the_true_lift_at_every_look() -> None:
    random = np.random.default_rng(SEED)
    missed = 0
    for _ in range(RUNS):
        control, candidate = liked(random, 0.4), liked(random, 0.6)
        looks = [lift(control[:n], candidate[:n], "feedback") for n in range(LEAST_OUTCOMES, 600, STEP)]
        missed += any(not (each.low or -1) <= 0.2 <= (each.high or 1) for each in looks)
    assert missed / RUNS <= ALPHA


def test_lower_latency_wins_and_its_lift_is_a_share_of_the_controls() -> None:
    random = np.random.default_rng(SEED)
    control = random.lognormal(0, 0.3, 500)
    found = lift(control, control * 0.5, "latency")
    assert found.lift == pytest.approx(-0.5)
    assert verdict(found, "latency") == "won"
    assert verdict(lift(control * 0.5, control, "latency"), "latency") == "lost"


def test_too_few_outcomes_say_nothing() -> None:
    found = lift([0.0] * 29, [1.0] * 29, "feedback")
    assert (found.lift, verdict(found, "feedback")) == (None, None)
    assert (found.control, found.candidate) == (0.0, 1.0)
    assert lift([], [], "judge").control is None


def test_arms_are_stable_and_as_large_as_asked_for() -> None:
    units = [str(uuid4()) for _ in range(4_000)]
    arms = [arm_of(ONE, unit, 0.3) for unit in units]
    assert arms == [arm_of(ONE, unit, 0.3) for unit in units]
    assert 0.27 < arms.count("candidate") / len(arms) < 0.33
    other = [arm_of(uuid4(), unit, 0.3) for unit in units]
    assert 0.05 < sum(a == b == "candidate" for a, b in zip(arms, other, strict=True)) / len(arms) < 0.13


def test_a_larger_share_keeps_whoever_had_the_candidate() -> None:
    units = [str(n) for n in range(500)]
    assert all(arm_of(ONE, unit, 0.6) == "candidate" for unit in units if arm_of(ONE, unit, 0.3) == "candidate")
