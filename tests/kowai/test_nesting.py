"""JSON that nests too deeply is told from its bytes, whatever its strings hold."""

import json

from hypothesis import given
from hypothesis import strategies as st

from kowai.nesting import nests_deeply

VALUES = st.recursive(
    st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@given(VALUES)
def test_what_people_send_is_let_through(value: object) -> None:
    assert not nests_deeply(json.dumps(value).encode())


@given(st.integers(0, 400), st.sampled_from(['"[[["', '"\\"]"', '"\\\\"', "1"]))
def test_depth_is_counted_outside_of_strings(depth: int, inside: str) -> None:
    assert nests_deeply(f"{'[' * depth}{inside}{']' * depth}".encode()) == (depth > 64)


@given(st.binary())
def test_no_bytes_break_it(body: bytes) -> None:
    assert nests_deeply(body) in (True, False)
