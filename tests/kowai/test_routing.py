"""A message finds the persona it is for; the personas never saw the messages that this is measured on."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.embedder import local_model
from kowai.personas import personas
from kowai.routing import UNSURE, Choice, Router

MESSAGES = [json.loads(line) for line in (Path(__file__).parent.parent / "data" / "personas.jsonl").open()]
HELD_OUT = [message for message in MESSAGES if message["split"] == "held-out"]
TRAIN = [message for message in MESSAGES if message["split"] == "train"]


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Router:
    return Router.fit([message["persona"] for message in TRAIN], embedded(tmp_path_factory, TRAIN))


@pytest.fixture(scope="module")
def choices(router: Router, tmp_path_factory: pytest.TempPathFactory) -> list[Choice]:
    return [router.choose(vector) for vector in embedded(tmp_path_factory, HELD_OUT)]


def embedded(folder: pytest.TempPathFactory, messages: list[dict[str, Any]]) -> Any:
    return local_model("", folder.mktemp("models")).embed([message["message"] for message in messages])


def test_at_least_85_of_100_held_out_messages_find_their_persona(choices: list[Choice]) -> None:
    hits = [choice.persona == message["persona"] for choice, message in zip(choices, HELD_OUT, strict=True)]
    assert sum(hits) / len(hits) >= 0.85


def test_a_sure_choice_is_right_more_often_than_an_unsure_one(choices: list[Choice]) -> None:
    judged = [
        (choice.confidence >= UNSURE, choice.persona == message["persona"])
        for choice, message in zip(choices, HELD_OUT, strict=True)
    ]
    sure, unsure = ([hit for certain, hit in judged if certain is wanted] for wanted in (True, False))
    assert sum(sure) / len(sure) > sum(unsure) / len(unsure)


def test_the_examples_are_the_train_half_and_nothing_of_the_held_out_one() -> None:
    examples = {(name, example) for name, persona in personas().items() for example in persona.examples}
    assert examples == {(message["persona"], message["message"]) for message in TRAIN}
    assert not {message["message"] for message in TRAIN} & {message["message"] for message in HELD_OUT}


@given(st.integers(0, 2**32 - 1), st.integers(2, 40))
def test_a_confidence_is_a_probability_above_chance(seed: int, examples: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(examples + 1, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    choice = Router.fit(["a", *"bc" * (examples // 2), *"b" * (examples % 2)][:examples], vectors[1:]).choose(
        vectors[0]
    )
    assert choice.persona in "abc"
    assert 1 / 3 - 1e-9 <= choice.confidence <= 1
