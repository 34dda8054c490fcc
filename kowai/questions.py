"""What may be asked: text a person could have written, of bounded length."""

import unicodedata

from kowai.errors import InvalidInput

LONGEST = 8_000
NOT_TEXT = ("Cc", "Cs", "Co", "Cn")  # control, surrogate, private use, unassigned


class QuestionEmpty(InvalidInput):
    code = "question_empty"


class QuestionTooLong(InvalidInput):
    code = "question_too_long"


class QuestionUnreadable(InvalidInput):
    code = "question_unreadable"


def checked_question(text: str) -> str:
    """Return the question without surrounding space. Raises InvalidInput for what nobody could have meant to ask."""
    question = text.strip()
    if not any(character.isalnum() for character in question):
        raise QuestionEmpty("The question is empty: write at least one word.")
    if len(question) > LONGEST:
        raise QuestionTooLong(f"The question has {len(question):,} characters; the longest is {LONGEST:,}.")
    if any(unicodedata.category(character) in NOT_TEXT for character in question if character not in "\n\r\t"):
        raise QuestionUnreadable("The question holds bytes that are not text.")
    return question
