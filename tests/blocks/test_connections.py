"""Blocks that a process began before are found as soon as they are there."""

import time
from typing import Any

import pytest

from blocks import connections
from blocks.connections import STANDING, Known, find_standing, language_model
from blocks.language_model import LanguageModel, Target

MODEL = LanguageModel(targets=[Target(name="local", model="m", endpoint="http://127.0.0.1:1/v1")])


async def test_a_model_that_comes_after_the_process_answers_as_soon_as_it_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Any] = []

    async def aload(kind: Any, *_: Any, **__: Any) -> Any:
        asked.append(kind)
        if len(asked) <= len(STANDING):
            raise ValueError("Unable to find block document")
        return MODEL if kind is LanguageModel else kind()

    for kind in STANDING:
        monkeypatch.setattr(kind, "aload", classmethod(aload))
    monkeypatch.setattr(connections, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(connections, "_known", {LanguageModel: Known(None, time.monotonic())})
    assert (await language_model()).targets == []
    await find_standing()
    assert (await language_model()).targets == MODEL.targets
    assert sorted(kind.__name__ for kind in asked) == sorted(kind.__name__ for kind in STANDING * 2)


async def test_what_was_learnt_while_prefect_was_asked_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    async def aload(*_: Any, **__: Any) -> Any:
        connections._known[LanguageModel] = Known(MODEL, time.monotonic())
        return LanguageModel()

    monkeypatch.setattr(LanguageModel, "aload", classmethod(aload))
    monkeypatch.setattr(connections, "_known", {})
    assert (await language_model()).targets == MODEL.targets
