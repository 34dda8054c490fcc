"""One table says who may do what; roles are a ladder, scopes only take away."""

import pytest

from kowai.errors import Forbidden, Misconfigured
from kowai.permissions import LEAST_ROLE, ROLES, at_least, known, require

EVERY = [(permission, role) for permission in LEAST_ROLE for role in ROLES]


def allowed(permission: str, role: str, scopes: frozenset[str] | None = None) -> bool:
    try:
        require(permission, role, scopes)
    except Forbidden:
        return False
    return True


def test_every_permission_names_a_role_of_the_ladder() -> None:
    assert {*LEAST_ROLE.values()} <= {*ROLES}


def test_whoever_may_do_something_is_at_least_the_role_in_the_table() -> None:
    enough = [(one, role) for one, role in EVERY if ROLES.index(role) >= ROLES.index(LEAST_ROLE[one])]
    assert [(permission, role) for permission, role in EVERY if allowed(permission, role)] == enough


@pytest.mark.parametrize("role", ["", "root", "Admin", "admin "])
def test_an_unknown_role_may_do_nothing(role: str) -> None:
    assert [permission for permission in LEAST_ROLE if allowed(permission, role)] == []


def test_scopes_take_away_and_never_add() -> None:
    for permission, role in EVERY:
        assert allowed(permission, role, frozenset({permission})) == allowed(permission, role), (permission, role)
        assert not allowed(permission, role, frozenset(LEAST_ROLE) - {permission}), (permission, role)
        assert not allowed(permission, role, frozenset()), (permission, role)


def test_a_permission_that_is_not_in_the_table_cannot_be_declared() -> None:
    with pytest.raises(Misconfigured):
        known("documents.raed")


def test_a_viewer_asks_and_only_an_admin_reads_the_workers_files() -> None:
    assert at_least("viewer", LEAST_ROLE["questions.ask"])
    assert not at_least("operator", LEAST_ROLE["sources.read"])
