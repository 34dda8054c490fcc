"""Token alignment finds what a sentence says for each word of the question, and notices what is missing or swapped."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kowai.embedding.checkpoint import bundled
from kowai.embedding.encoder import TextEncoder
from kowai.extraction.alignment import alignment, tokens_of
from kowai.extraction.model import Branch, Judge, judge

BRIDGE = "The bridge was opened by the mayor in 1932."


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    return TextEncoder(bundled(), tmp_path_factory.mktemp("models"), threads=1)


def aligned(encoder: TextEncoder, question: str, sentences: Sequence[str]) -> dict[str, float]:
    texts = [question, *sentences]
    asked, *field = [tokens_of(text, each) for text, each in zip(texts, encoder.read(texts), strict=True)]
    return alignment(asked, field)


def test_a_word_that_means_the_same_is_nearer_than_a_stranger(encoder: TextEncoder) -> None:
    near = aligned(encoder, "Who inaugurated the bridge?", [BRIDGE])
    strange = aligned(encoder, "Who painted the bridge?", [BRIDGE])
    assert near["last_unmatched"] > strange["last_unmatched"]


def test_what_another_sentence_of_the_field_explains_is_seen(encoder: TextEncoder) -> None:
    alone = aligned(encoder, "Who opened the tunnel?", [BRIDGE])
    both = aligned(encoder, "Who opened the tunnel?", [BRIDGE, "The tunnel was dug later."])
    assert alone["last_field_gain"] == 0 < both["last_field_gain"]
    assert alone["last_explained"] == both["last_explained"]


def test_a_question_of_stop_words_and_an_empty_sentence_are_not_aligned(encoder: TextEncoder) -> None:
    assert aligned(encoder, "What is it?", [BRIDGE]) == {}
    assert aligned(encoder, "Who opened it?", ["..."]) == {}


@settings(max_examples=60, deadline=None)
@given(question=st.text(max_size=80), sentence=st.text(max_size=80))
def test_any_two_texts_are_aligned_or_not_and_the_weights_know_every_feature(
    encoder: TextEncoder, question: str, sentence: str
) -> None:
    found = aligned(encoder, question, [sentence, BRIDGE])
    assert not found or set(found) <= set(judge("aligned").weights)
    assert all(-2 <= value <= 2 for value in found.values())


def test_a_judge_averages_its_regression_and_its_trees() -> None:
    tree = Branch("words", 2.0, -1.0, Branch("words", 5.0, 0.0, 3.0))
    weighed = Judge(weights={}, intercept=1.0, trees=[tree], scale=1.0, bias=0.0)
    assert weighed.confidence({"words": 2.0}) == 0.5
    assert 0.5 < weighed.confidence({"words": 5.0}) < weighed.confidence({"words": 6.0})
