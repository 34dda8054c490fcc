"""A plan is a graph without cycles of known personas and tools; what is wrong with one is said by the step's name."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kowai.teams.plan import (
    MOST_STEPS,
    BadPlan,
    Known,
    PlanCycle,
    TooManySteps,
    UnknownStep,
    UnknownStepPersona,
    UnknownStepTool,
    check_texts,
    checked_plan,
    levels_of,
    parse_plan,
)

KNOWN = Known(personas=("assistant", "analyst"), tools=("search", "calculator"))
TEA = """
limits: {seconds: 60, dollars: 0.25}
steps:
  - {id: green, persona: analyst, task: "Find out about green tea: {question}", tools: [search]}
  - {id: black, persona: analyst, task: Find out about black tea, limits: {iterations: 2}}
  - {id: both, persona: assistant, needs: [green, black]}
"""


def test_a_plan_is_read_with_its_limits_and_sorted_into_levels() -> None:
    plan = parse_plan(TEA, KNOWN)
    assert plan.levels() == (("green", "black"), ("both",))
    assert plan.results() == ("both",)
    assert (plan.limits.seconds, plan.limits.dollars) == (60, Decimal("0.25"))
    green, black, both = plan.steps
    assert green.text("how long?") == "Find out about green tea: how long?"
    assert black.text("how long?") == "Find out about black tea\n\nAll this is about: how long?"
    assert both.text("how long?") == "how long?"
    assert (green.limits.seconds, green.limits.iterations, black.limits.iterations) == (300, 10, 2)


def steps(*described: dict[str, Any]) -> dict[str, Any]:
    return {"steps": [{"persona": "assistant"} | each for each in described]}


@pytest.mark.parametrize(
    ("described", "error", "told"),
    [
        (steps({"id": "a", "needs": ["b"]}, {"id": "b", "needs": ["a"]}), PlanCycle, "a -> b -> a"),
        (steps({"id": "a", "needs": ["a"]}), PlanCycle, "a -> a"),
        (steps({"id": "x"}, {"id": "a", "needs": ["x", "b"]}, {"id": "b", "needs": ["a"]}), PlanCycle, "a -> b -> a"),
        (steps({"id": "a", "persona": "nobody"}), UnknownStepPersona, "'a'.*'nobody'"),
        (steps({"id": "a", "tools": ["shell"]}), UnknownStepTool, "'a'.*'shell'"),
        (steps({"id": "a", "needs": ["b"]}), UnknownStep, "'a' needs 'b'"),
        (steps({"id": "a"}, {"id": "a"}), BadPlan, "called 'a'"),
        (steps(*({"id": f"s{n}"} for n in range(MOST_STEPS + 1))), TooManySteps, "21 steps"),
        (steps({"id": "a", "limits": {"iterations": 11}}), BadPlan, "'a'.*iterations"),
        (steps({"id": "a", "nedes": ["b"]}), BadPlan, "'a'.*nedes"),
        (steps({"id": "a b"}), BadPlan, "'a b'.*id"),
        (steps({"task": "x"}), BadPlan, "Step 1.*id"),
        ({"steps": ["a"]}, BadPlan, "Step 1"),
        ({"steps": []}, BadPlan, "steps"),
        ({"steps": {"a": 1}}, BadPlan, "steps"),
        ({"step": []}, BadPlan, "steps"),
        ({"steps": [{"id": "a", "persona": "assistant"}], "limits": {"seconds": 0}}, BadPlan, "limits.*seconds"),
        ("a plan", BadPlan, "steps"),
        (None, BadPlan, "steps"),
    ],
)
def test_a_bad_plan_is_refused_by_what_is_wrong_with_it(described: Any, error: type[BadPlan], told: str) -> None:
    with pytest.raises(error, match=told) as refused:
        checked_plan(described, KNOWN)
    assert type(refused.value) is error


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("steps: [", "line 1"),
        ("a: &a [1]\nb: *a", "not valid YAML"),
        ("[" * 100_000, "not valid YAML"),
        ("x" * 100_001, "longer than"),
    ],
)
def test_what_is_no_yaml_is_refused(text: str, told: str) -> None:
    with pytest.raises(BadPlan, match=told):
        parse_plan(text, KNOWN)


def test_a_task_that_becomes_too_long_with_its_question_is_refused_by_its_step() -> None:
    plan = checked_plan(steps({"id": "a", "task": "{question} " * 3}), KNOWN)
    with pytest.raises(BadPlan, match="'a'"):
        check_texts(plan, "tea " * 1_000)


@given(st.data())
def test_every_step_comes_after_all_it_needs_and_as_early_as_it_can(data: st.DataObject) -> None:
    names = [f"s{n}" for n in range(data.draw(st.integers(1, 12)))]
    needs = {
        name: data.draw(st.sets(st.sampled_from(names[:place]))) if place else set[str]()
        for place, name in enumerate(names)
    }
    shuffled = {name: needs[name] for name in data.draw(st.permutations(names))}
    levels = levels_of(shuffled)
    level = {name: place for place, names in enumerate(levels) for name in names}
    assert sorted(level) == sorted(names)
    assert all(level[name] == max((level[need] + 1 for need in needs[name]), default=0) for name in names)


@given(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6, unique=True), st.data())
def test_a_ring_is_always_found_out(ring: list[str], data: st.DataObject) -> None:
    needs = {name: {ring[place - 1]} for place, name in enumerate(ring)}
    hangers = data.draw(st.lists(st.sampled_from("uvwxyz"), unique=True))
    needs |= {name: {data.draw(st.sampled_from(ring))} for name in hangers}
    with pytest.raises(PlanCycle) as refused:
        levels_of(needs)
    told = refused.value.sentence.partition(": ")[2].rstrip(".").split(" -> ")
    assert told[0] == told[-1]
    assert set(told) == set(ring)
