"""A flag gives a caller always the same value, by role and by share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from kowai.flags import Flag, Rule, resolve

SHARE = {"name": "new-layout", "variants": {"on": True, "off": False}, "default": "off"}


def flag(*rules: Rule, **more: object) -> Flag:
    return Flag.model_validate(SHARE | {"rules": rules} | more)


def test_the_first_rule_for_the_callers_role_decides() -> None:
    chosen = flag(Rule(roles=("admin",), shares={"on": 100}), Rule(shares={"off": 100}))
    assert resolve(chosen, "ada", "admin") == ("on", True, "TARGETING_MATCH")
    assert resolve(chosen, "ada", "viewer") == ("off", False, "TARGETING_MATCH")


def test_a_disabled_flag_and_one_without_rules_are_the_default() -> None:
    assert resolve(flag(Rule(shares={"on": 100}), enabled=False), "ada", None).reason == "DISABLED"
    assert resolve(flag(), "ada", None) == ("off", False, "STATIC")


def test_a_share_is_as_large_as_it_says_and_a_larger_one_keeps_whoever_was_in() -> None:
    units = [str(n) for n in range(4_000)]
    some, more = (flag(Rule(shares={"on": share})) for share in (20, 40))
    held = {unit for unit in units if resolve(some, unit, None).value}
    assert 0.17 < len(held) / len(units) < 0.23
    assert all(resolve(more, unit, None).value for unit in held)
    assert {resolve(some, unit, None).reason for unit in units} == {"SPLIT", "DEFAULT"}


@given(unit=st.text(), role=st.none() | st.sampled_from(["viewer", "admin"]), share=st.floats(0, 100))
def test_every_caller_gets_one_variant_and_always_the_same(unit: str, role: str | None, share: float) -> None:
    chosen = flag(Rule(roles=("viewer",), shares={"on": share}))
    assert resolve(chosen, unit, role) == resolve(chosen, unit, role)
    assert resolve(chosen, unit, role).variant in chosen.variants


@pytest.mark.parametrize(
    "wrong",
    [
        {"default": "missing"},
        {"rules": [{"shares": {"missing": 10}}]},
        {"rules": [{"shares": {"on": 60, "off": 60}}]},
        {"rules": [{"roles": ["king"], "shares": {"on": 60}}]},
        {"name": "Not A Name"},
        {"variants": {}},
    ],
)
def test_what_is_no_flag_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Flag.model_validate(SHARE | wrong)
