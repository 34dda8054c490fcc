"""Teams, labels and team roles mean what the operator said, and nothing more."""

from hypothesis import given
from hypothesis import strategies as st

from kowai.membership import Membership, Rules, roles_in_tenants
from kowai.permissions import ROLES

RULES = Rules({"t1": "acme", "t2": "acme", "t3": "zoo"}, {"chief": "admin"}, {"owner": "operator"}, "viewer")


def test_a_member_has_the_highest_role_that_team_role_label_and_membership_give() -> None:
    joined = [Membership("t1", ()), Membership("t2", ("owner", "painter"))]
    assert roles_in_tenants(joined, [], RULES) == {"acme": "operator"}
    assert roles_in_tenants(reversed(joined), [], RULES) == {"acme": "operator"}
    assert roles_in_tenants([*joined, Membership("t3", ())], ["chief"], RULES) == {"acme": "admin", "zoo": "admin"}


def test_a_team_that_is_not_listed_means_nothing_whatever_its_roles() -> None:
    assert roles_in_tenants([Membership("acme", ("owner",))], ["chief"], RULES) == {}


def test_members_without_a_role_may_be_left_out() -> None:
    assert roles_in_tenants([Membership("t1", ())], [], RULES._replace(member=None)) == {}


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.lists(st.text(max_size=3)).map(tuple))), st.lists(st.text()))
def test_nobody_becomes_an_admin_of_the_platform(joined: list[tuple[str, tuple[str, ...]]], labels: list[str]) -> None:
    everything = dict.fromkeys(["", *labels, *(role for _, roles in joined for role in roles)], "platform_admin")
    rules = Rules(dict.fromkeys("abc", "acme"), everything, everything, "viewer")
    found = roles_in_tenants([Membership(*each) for each in joined], labels, rules)
    assert set(found.values()) <= set(ROLES[:-1])
    assert bool(found) == any(team != "d" for team, _ in joined)
