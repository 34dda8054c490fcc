"""A question is refused with a reason, or comes back as it was meant."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kowai.errors import InvalidInput
from kowai.questions import LONGEST, QuestionEmpty, QuestionTooLong, QuestionUnreadable, checked_question


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "???", "—"])
def test_a_question_without_a_word_is_empty(text: str) -> None:
    with pytest.raises(QuestionEmpty):
        checked_question(text)


def test_a_question_of_ten_thousand_characters_is_too_long() -> None:
    with pytest.raises(QuestionTooLong, match="10,000"):
        checked_question("a" * 10_000)


@pytest.mark.parametrize("text", ["a\x00b", "what\x07", "\ud800abc", "PNG\x1a\x89"])
def test_bytes_that_are_not_text_are_refused(text: str) -> None:
    with pytest.raises(QuestionUnreadable):
        checked_question(text)


SCRIPTS = ["Wie lange gilt die Garantie?", "保修期多长？", "كم مدة الضمان؟", "a\nb\tc", "👩‍👩‍👧 family?"]


@pytest.mark.parametrize("text", SCRIPTS)
def test_any_script_may_ask(text: str) -> None:
    assert checked_question(f"  {text} ") == text


@given(st.text(max_size=LONGEST + 10))
def test_every_text_is_either_kept_or_refused_with_a_sentence(text: str) -> None:
    with suppress(InvalidInput):
        assert checked_question(text) == text.strip()
