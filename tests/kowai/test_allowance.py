"""An evaluation exceeds its limits by one question at the most."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from kowai.allowance import Taken, may_start
from kowai.suites import Limits


@given(
    st.lists(st.decimals("0.001", "0.05", places=3), min_size=1, max_size=60),
    st.decimals("0", "1", places=2),
    st.integers(1, 8),
)
def test_no_order_of_events_spends_more_than_one_question_too_much(
    prices: list[Decimal], limit: Decimal, workers: int
) -> None:
    limits = Limits(dollars=limit, minutes=None)
    spent, dearest, running, waiting = Decimal(0), Decimal(0), list[Decimal](), list(prices)
    while waiting or running:
        taken = Taken(0, spent, 0.0, len(running), 0, dearest)
        start = may_start(limits, taken) if waiting and len(running) < workers else "wait"
        if start == "go":
            running.append(waiting.pop(0))
        elif running:
            paid = running.pop(0)
            spent, dearest = spent + paid, max(dearest, paid)
        else:
            assert start == "stop"
            break
    assert spent <= limit + max(prices) * workers
    if len(set(prices)) == 1:
        assert spent <= limit + prices[0]


def test_a_used_up_limit_stops_and_no_limit_never_does() -> None:
    none = Limits(dollars=None, minutes=None)
    dear = Taken(10**9, Decimal(10**6), 1e6, 100, 10**6, Decimal(1000))
    assert may_start(none, dear) == "go"
    assert may_start(Limits(tokens=10), Taken(10, Decimal(0), 0, 0, 5, Decimal(0))) == "stop"
    assert may_start(Limits(minutes=1), Taken(0, Decimal(0), 1.5, 3, 0, Decimal(0))) == "stop"


def test_the_first_question_runs_alone_because_nobody_knows_what_it_costs() -> None:
    limits = Limits(dollars=Decimal(1))
    assert may_start(limits, Taken(0, Decimal(0), 0, 0, 0, Decimal(0))) == "go"
    assert may_start(limits, Taken(0, Decimal(0), 0, 1, 0, Decimal(0))) == "wait"
    assert may_start(limits, Taken(0, Decimal("0.1"), 0, 1, 0, Decimal("0.1"))) == "go"
