"""What PostgreSQL cannot store is refused before it gets there, wherever it hides."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kowai.errors import InvalidInput
from kowai.filters import checked_filters
from kowai.storable import NotStorable, check_storable, storable


@pytest.mark.parametrize("text", ["nul\0byte", "half \ud83d a pair", "\udc00"])
def test_text_with_no_place_in_the_store_is_refused_by_name(text: str) -> None:
    with pytest.raises(NotStorable, match=r"U\+[0-9A-F]{4}"):
        storable(text)


@pytest.mark.parametrize("value", [{"a": [{"b\0": 1}]}, ["x", {"y": "\0"}], {"z": ("\ud800",)}])
def test_it_is_found_inside_of_what_json_can_hold(value: object) -> None:
    with pytest.raises(NotStorable):
        check_storable(value)


def test_a_filter_that_cannot_be_asked_for_is_refused() -> None:
    with pytest.raises(InvalidInput):
        checked_filters({"metadata": {"team": "a\0"}})


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_every_other_text_is_kept(text: str) -> None:
    assert storable(text) == text
