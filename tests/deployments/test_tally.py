"""The account of `kowai ingest` adds up wherever it is shown."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.commands.printing import print_tally
from deployments.commands.tally import ENDS, Tally

REPLIES = st.lists(st.fixed_dictionaries({end: st.integers(0, 3_000) for end in ENDS} | {"items": st.just([])}))
HELD = {"uri": "night.md", "state": "quarantined", "cause": "injection", "sentence": "A guard holds it back."}
DEAD = {"uri": "void.md", "state": "dead", "cause": "empty", "sentence": "It is empty."}


def tallied(*replies: dict[str, Any]) -> Tally:
    tally = Tally()
    for reply in replies:
        tally.add(reply)
    return tally


@given(REPLIES, st.integers(0, 3))
def test_the_line_says_where_every_accepted_document_is(replies: list[dict[str, Any]], refused: int) -> None:
    tally = tallied(*replies)
    for number in range(refused):
        tally.bury(str(number), "refused", "")
    accepted, *ends = (int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", str(tally)))
    assert accepted == sum(ends) == sum(reply[end] for reply in replies for end in ENDS) + refused


def test_a_document_that_a_guard_holds_back_is_shown_and_is_not_dead(capsys: pytest.CaptureFixture[str]) -> None:
    counts = {"indexed": 59, "unchanged": 0, "quarantined": 1, "dead": 0, "in_progress": 0}
    tally = tallied(counts | {"items": [HELD]}, dict.fromkeys(ENDS, 0) | {"dead": 1, "items": [DEAD]})
    print_tally(tally)
    shown = capsys.readouterr().out
    assert [int(number) for number in shown.splitlines()[-1].split()] == [61, 59, 0, 1, 1, 0]
    assert shown.index("held back") < shown.index("night.md")
    assert "void.md" in shown
    told = tally.as_dictionary()
    assert [each["uri"] for each in told["held"]] == ["night.md"]
    assert [each["uri"] for each in told["deaths"]] == ["void.md"]
