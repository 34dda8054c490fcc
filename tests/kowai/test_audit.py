"""The chain of the audit log shows every kind of change."""

from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from kowai.audit import BEGINNING, Deed, Link, first_broken, seal

TENANT = UUID(int=7)
DEED = Deed(datetime(2026, 1, 31, tzinfo=UTC), None, "ada", "keys.manage", "POST", "/api/v1/keys", 201, "10.0.0.1")


def chain(length: int) -> list[Link]:
    links: list[Link] = []
    for number in range(1, length + 1):
        previous = links[-1].hash if links else BEGINNING
        deed = DEED._replace(target=f"/api/v1/keys/{number}")
        links.append(Link(number, deed, previous, seal(TENANT, number, deed, previous)))
    return links


def test_an_untouched_chain_holds() -> None:
    assert first_broken(TENANT, chain(20)) is None


@given(st.integers(0, 9), st.sampled_from(Deed._fields))
def test_a_change_of_any_field_is_found_where_it_was_made(place: int, field: str) -> None:
    links = chain(10)
    other = {"at": datetime(2026, 2, 1, tzinfo=UTC), "actor": UUID(int=1), "status": 200}.get(field, "other")
    links[place] = links[place]._replace(deed=links[place].deed._replace(**{field: other}))
    assert first_broken(TENANT, links) == place + 1


@given(st.integers(0, 8))
def test_a_lost_or_moved_entry_is_found(place: int) -> None:
    links = chain(10)
    assert first_broken(TENANT, links[:place] + links[place + 1 :]) == place + 1
    links[place], links[place + 1] = links[place + 1], links[place]
    assert first_broken(TENANT, links) == place + 1


def test_another_tenants_chain_does_not_hold() -> None:
    assert first_broken(UUID(int=8), chain(3)) == 1
