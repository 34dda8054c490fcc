"""A key names its tenant and never lies in the database in clear."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kowai.errors import Unauthenticated
from kowai.keys import format_key, parse_key


@given(st.uuids(), st.text("abcdefghijklmnopqrstuvwxyz0123456789_-", min_size=32, max_size=64))
def test_a_key_can_be_read_back(tenant_id, secret: str) -> None:
    key = format_key(tenant_id, secret)
    parsed = parse_key(key)
    assert parsed.tenant_id == tenant_id
    assert secret not in parsed.digest


NO_KEYS = ["", "kowai", "kowai_x_y", f"kowai_{'0' * 32}_short", f"other_{'0' * 32}_{'s' * 43}"]


@pytest.mark.parametrize("key", NO_KEYS)
def test_what_is_not_a_key_is_refused(key: str) -> None:
    with pytest.raises(Unauthenticated):
        parse_key(key)


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    with suppress(Unauthenticated):
        assert parse_key(text).tenant_id
