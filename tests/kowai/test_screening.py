"""A screened pattern finds what the pattern alone finds, whatever the text."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kowai.personal import patterns, phones, places, secrets
from kowai.screening import LOOK, Screened

SCREENED = {
    **{f"{pattern.kind} {number}": pattern.shape for number, pattern in enumerate(patterns.PATTERNS)},
    **{
        name: found
        for module in (secrets, places, phones)
        for name, found in vars(module).items()
        if isinstance(found, Screened)
    },
}


def spans(found: Screened | re.Pattern[str], text: str) -> list[tuple[int, int]]:
    return [match.span() for match in found.finditer(text)]


@pytest.mark.parametrize("name", SCREENED)
@given(data=st.data())
def test_a_screen_lets_through_whatever_its_pattern_finds(name: str, data: st.DataObject) -> None:
    screened = SCREENED[name]
    text = data.draw(st.from_regex(re.compile(LOOK.sub("", screened.pattern.pattern), screened.pattern.flags)))
    assert spans(screened, text) == spans(screened.pattern, text)


def test_digits_letters_and_spaces_of_all_scripts_pass_a_screen() -> None:
    assert spans(Screened(r"\b\d{3}\s[^\W\d_][\w-]{1,3}\b"), "٣٤٥\u2003Éã-ß") == [(0, 8)]


def test_half_a_surrogate_pair_is_no_obstacle() -> None:
    assert spans(Screened(r"\d{2}"), "\ud800 42") == [(2, 4)]
