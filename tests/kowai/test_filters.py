"""What a client writes about documents becomes a condition, or a sentence that says what is wrong."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from kowai.filters import CONDITIONS, FilterInvalid, Filters, checked_filters, condition

ID = "6fa459ea-ee8a-4ca4-894e-db77e160355e"


def test_no_filter_is_no_condition() -> None:
    assert condition(checked_filters({})) == ("", {})


def test_one_value_may_stand_without_a_list() -> None:
    assert checked_filters({"external_id": "a"}) == checked_filters({"external_ids": ["a"]})
    assert checked_filters({"document_id": ID}).document_ids == (UUID(ID),)


def test_conditions_hold_together_and_values_travel_as_parameters() -> None:
    sql, parameters = condition(checked_filters({"media_type": "text/html", "metadata": {"team": "ops' or 1=1"}}))
    assert sql == f"{CONDITIONS['media_types']} and {CONDITIONS['metadata']}"
    assert parameters == {"media_types": ["text/html"], "metadata": '{"team": "ops\' or 1=1"}'}


def test_every_filter_has_a_condition_but_the_one_that_chooses_what_is_searched() -> None:
    assert {*CONDITIONS, "as_of"} == set(Filters.model_fields)


def test_a_moment_without_a_zone_is_utc() -> None:
    assert checked_filters({"created_since": "2025-01-01"}).created_since == datetime(2025, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "named"),
    [({"colour": "red"}, "'colour'"), ({"document_id": "7"}, "'document_id"), ({"created_since": "soon"}, "'created")],
)
def test_what_cannot_be_used_is_named_beside_what_can(given: dict[str, str], named: str) -> None:
    with pytest.raises(FilterInvalid, match=named) as refused:
        checked_filters(given)
    assert "external_ids" in refused.value.sentence
    assert refused.value.http_status == 422
