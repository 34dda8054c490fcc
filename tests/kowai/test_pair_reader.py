"""The pair reader tells a question that a sentence answers from one that only shares its words."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kowai.embedding.checkpoint import bundled
from kowai.embedding.encoder import TextEncoder
from kowai.embedding.states import Encoded
from kowai.extraction.model import judge
from kowai.extraction.pair_reader import LONGEST, read_together

BRIDGE = "The bridge was opened by the mayor in 1932."
# What the network said in the framework that it was trained in, its matrices rounded to eight bits.
TRAINED = {
    "Who opened the bridge?": (-0.0137, 0.2492),
    "When was the bridge opened?": (-0.1725, 2.1225),
    "When was the bridge painted?": (-1.3332, -0.2737),
    "Who opened the tunnel?": (-0.2033, -1.5022),
}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    return TextEncoder(bundled(), tmp_path_factory.mktemp("models"), threads=1)


def read(encoder: TextEncoder, question: str, sentence: str) -> tuple[float, float]:
    found = read_together(*encoder.read([question, sentence]))
    return found["read_answer"], found["read_span"]


@pytest.mark.parametrize(("question", "said"), TRAINED.items())
def test_the_graph_says_what_the_trained_network_said(
    encoder: TextEncoder, question: str, said: tuple[float, float]
) -> None:
    assert read(encoder, question, BRIDGE) == pytest.approx(said, abs=1e-3)


def test_what_is_asked_of_something_else_is_less_of_an_answer(encoder: TextEncoder) -> None:
    notice = "Employees give four weeks of notice to the end of a month."
    right, wrong = (read(encoder, f"How much notice do {who} give?", notice) for who in ("employees", "landlords"))
    assert right[0] > wrong[0]
    assert right[1] > wrong[1]


def test_the_same_states_are_read_the_same_to_the_last_bit(encoder: TextEncoder) -> None:
    question, sentence = encoder.read(["When was the bridge opened?", BRIDGE])
    again = read_together(question, sentence)
    assert all(read_together(question, sentence) == again for _ in range(5))


@settings(max_examples=40, deadline=None)
@given(question=st.text(max_size=80), sentence=st.text(max_size=80))
def test_any_two_texts_are_read_and_the_judge_knows_what_is_said(
    encoder: TextEncoder, question: str, sentence: str
) -> None:
    found = read_together(*encoder.read([question, sentence]))
    assert set(found) <= set(judge("aligned").weights)
    assert np.isfinite(list(found.values())).all()


def test_a_sentence_is_read_up_to_its_limit(encoder: TextEncoder) -> None:
    question, long = encoder.read(["When was the bridge opened?", f"{BRIDGE} " * 40])
    assert len(long.ids) > LONGEST
    cut = Encoded(long.vector, long.offsets[:LONGEST], long.states[:, :LONGEST], long.ids[:LONGEST])
    assert read_together(question, long) == read_together(question, cut)
