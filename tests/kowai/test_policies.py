"""Guards see, policy decides, and what is reported holds no text."""

import pytest

from kowai.guards import Content, Limits, guards
from kowai.policies import GuardPolicy, Switch, UnknownGuard, checked_switch, inspect, reported

LONG = GuardPolicy(limits=Limits(longest_question=10))


def at(action: str, policy: GuardPolicy = LONG) -> GuardPolicy:
    return policy.overridden([Switch(guard="length", stage="input", action=action)])  # type: ignore[arg-type]


def test_every_guard_says_what_it_sees_and_how_it_refuses() -> None:
    assert all(guard.summary and guard.sentence and guard.defaults for guard in guards().values())


def test_a_guard_that_refuses_gives_a_code_and_a_sentence() -> None:
    seen = inspect(Content("far too many words", "input", LONG.limits), LONG)
    assert (seen.verdict.allowed, seen.verdict.code) == (False, "guard_length")
    assert seen.verdict.sentence


def test_a_guard_that_only_notes_lets_pass_what_it_saw() -> None:
    seen = inspect(Content("far too many words", "input", LONG.limits), at("note"))
    assert seen.verdict.allowed
    assert [finding.kind for finding in seen.findings] == ["TOO_LONG"]


def test_a_guard_that_is_off_does_not_look() -> None:
    assert inspect(Content("far too many words", "input", LONG.limits), at("off")).findings == ()


def test_a_tenants_switch_outranks_the_blocks() -> None:
    assert at("note", at("off")).action("length", "input") == "note"


def test_what_is_reported_is_kinds_and_counts_and_no_text() -> None:
    seen = inspect(Content("far too many words", "input", LONG.limits), at("note"))
    (payload,) = reported(seen.findings)
    assert payload == {"guard": "length", "stage": "input", "action": "note", "kinds": {"TOO_LONG": 1}, "score": 1.0}


@pytest.mark.parametrize(
    ("guard", "stage", "action"),
    [("nobody", "input", "off"), ("grounding", "input", "off"), ("length", "input", "quarantine")],
)
def test_a_switch_for_what_does_not_exist_is_refused(guard: str, stage: str, action: str) -> None:
    with pytest.raises(UnknownGuard):
        checked_switch(Switch(guard=guard, stage=stage, action=action))  # type: ignore[arg-type]


def test_a_language_that_is_not_listed_is_refused_and_an_empty_list_allows_all() -> None:
    german = "Wie lange muss grüner Tee in der Kanne ziehen, bevor man ihn trinken kann?"
    allowed = GuardPolicy(limits=Limits(languages=("en",)))
    assert inspect(Content(german, "input", allowed.limits), allowed).verdict.code == "guard_language"
    assert inspect(Content(german, "input"), GuardPolicy()).verdict.allowed
