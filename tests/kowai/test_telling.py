"""What is shown of a growing reply only grows, and holds no citation that nobody has checked."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kowai.telling import showable, struck_out

PIECES = st.sampled_from(
    ["[[ ## answer ## ]]\n", "\n[[ ## completed ## ]]", "[[ ## found ## ]]\nTrue\n", "word ", "[1]", "["]
)
REPLY = "[[ ## found ## ]]\nTrue\n\n[[ ## answer ## ]]\nTea is hot [1][2]. It cools [3].\n\n[[ ## completed ## ]]"


@given(st.lists(PIECES | st.text("ab[]# 12\n", max_size=4)).map("".join))
@example(REPLY)
@example("  [[ ## answer ## ]] [1")
def test_what_was_shown_once_stays(reply: str) -> None:
    shown = [showable(reply[:end], "answer") for end in range(len(reply) + 1)]
    assert all(after.startswith(before) for before, after in pairwise(shown))


def test_words_are_shown_without_markers_and_headers() -> None:
    assert showable(REPLY, "answer") == "Tea is hot. It cools."
    assert showable(REPLY[: REPLY.index("[3]") + 2], "answer") == "Tea is hot. It cools"


def test_a_reply_without_headers_is_all_text() -> None:
    assert showable("Tea is hot [1].", "answer") == "Tea is hot."


@pytest.mark.parametrize(
    ("answer", "struck"),
    [
        ("Tea is hot [1]. It cools.", []),
        ("Tea is hot [1].", ["It cools."]),
        ("This is not in your documents.", ["Tea is hot.", "It cools."]),
    ],
)
def test_what_the_checked_answer_lacks_was_struck_out(answer: str, struck: list[str]) -> None:
    assert struck_out("Tea is hot.\nIt cools.", answer) == struck
