"""A search for prompts says nothing of them aloud."""

import logging
import sys

import dspy
import pytest

from kowai.optimisation import Tally
from kowai.optimisers import Optimiser
from kowai.suites import Limits
from tasks import prompt_search
from tasks.limited_engine import Purse
from tasks.prompt_search import Lessons

PROPOSED = "Answer in the voice of Ada"


def chatter(program: dspy.Module, *_: object) -> dspy.Module:
    sys.stdout.write(PROPOSED)
    logging.getLogger("dspy.teleprompt.mipro_optimizer_v2").warning(PROPOSED)
    return program


def test_what_an_optimiser_prints_and_logs_is_heard_by_nobody(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(prompt_search, "optimiser_named", lambda name: Optimiser("chatters", chatter))
    program = dspy.Predict("question -> answer")
    setattr(program, "metric", None)  # noqa: B010 -- DSPy knows only Module
    found = prompt_search._compiled("chatter", program, Lessons([], Tally({}, {}), []), Purse(Limits()))  # pyright: ignore[reportPrivateUsage]
    sys.stdout.write("afterwards")
    assert found is program
    assert capfd.readouterr() == ("afterwards", "")
