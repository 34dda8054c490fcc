"""What is remembered of a conversation fits its budget and loses no turn."""

from hypothesis import given
from hypothesis import strategies as st

from kowai.conversations import Exchange, about_tokens, gist, memory_of, needs_rephrasing, standalone, transcript
from kowai.preferences import wishes
from kowai.types import Preferences, Turn

EXCHANGES = st.lists(
    st.builds(Exchange, st.integers(1, 99), st.text(min_size=1, max_size=200), st.none() | st.text(max_size=200)),
    max_size=20,
)


@given(EXCHANGES, st.integers(1, 400))
def test_what_is_remembered_is_everything_in_order_and_the_recent_part_fits(
    exchanges: list[Exchange], budget: int
) -> None:
    older, recent = memory_of(exchanges, budget)
    assert [*older, *recent] == exchanges
    assert sum(exchange.tokens() for exchange in recent) <= budget


@given(st.text(max_size=500), EXCHANGES, st.integers(10, 200))
def test_a_gist_keeps_to_its_budget_while_it_has_lines_to_give_up(
    summary: str, exchanges: list[Exchange], budget: int
) -> None:
    said = gist(summary, exchanges, budget)
    assert about_tokens(said) <= budget or len(said.splitlines()) <= 1


def test_a_gist_holds_the_first_sentence_of_each_side() -> None:
    exchange = Exchange(1, "How long? I wonder.", "Three minutes. Or four.")
    assert gist("", [exchange]) == "How long? - Three minutes."


def test_a_follow_up_carries_the_two_questions_before_it() -> None:
    history = [Turn(role="user", text=text) for text in ("One?", "Two?", "Three?")]
    assert standalone("And?", history) == "Two?\nThree?\nAnd?"


def test_only_follow_ups_and_long_questions_are_rephrased() -> None:
    assert not needs_rephrasing("How long?", ())
    assert needs_rephrasing("How long?", [Turn(role="user", text="Tea?")])
    assert needs_rephrasing("long " * 200, ())


def test_a_model_is_told_what_was_said_before() -> None:
    assert (
        transcript([Turn(role="user", text="Tea?"), Turn(role="assistant", text="Yes.")])
        == "user: Tea?\n\nassistant: Yes."
    )
    assert transcript(()) == ""


def test_what_is_not_preferred_is_not_said() -> None:
    assert wishes(Preferences()) == ""
    said = wishes(Preferences(tone="formal", language="de-AT", length="short"))
    assert all(word in said for word in ("formal", "de-AT", "one or two sentences"))
