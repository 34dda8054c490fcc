"""A question that needs more than one sentence gets up to three, each cited on its own; any other gets one."""

from collections.abc import Sequence
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from kowai.embedding.checkpoint import bundled
from kowai.embedding.encoder import TextEncoder
from kowai.embedding.states import Encoded
from kowai.extraction import extract
from kowai.extraction.several import MOST, parts_of, wants_several
from kowai.lengthening import at_length
from kowai.types import Draft, Passage

INSTALL = """# Installing the heater

To install the heater, do this:

1. Switch the mains off.
2. Screw the bracket to the wall.
3. Hang the heater on the bracket.
4. Connect the cable.

The heater weighs nine kilograms.
"""
RULES = (
    "The office opens at eight in the morning. Visitors sign in at the reception. "
    "A lost badge costs twenty euros. The canteen closes at two in the afternoon."
)
FORMATS = (
    "Two formats of pictures are accepted: PNG and JPEG. The accepted formats of sound are FLAC and Ogg. "
    "Videos are accepted in the format WebM only. The archive is in Bern."
)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    return TextEncoder(bundled(), tmp_path_factory.mktemp("models"))


def passage(text: str, document: int = 1) -> Passage:
    place = {"document_id": UUID(int=document), "external_id": "a.md", "title": None, "version": 1, "page": None}
    return Passage(chunk_id=document, start=0, end=len(text), heading_path="", text=text, score=1.0, **place)


async def asked(encoder: TextEncoder, question: str, *texts: str, several: bool = True) -> Draft:
    async def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        return encoder.embed(texts)

    async def read(question: str, sentences: Sequence[str]) -> list[Encoded]:
        return encoder.read([question, *sentences])

    passages = [passage(text, number) for number, text in enumerate(texts, 1)]
    draft = await extract(question, passages, embed, read=read, several=several)
    for citation in draft.citations:
        assert texts[citation.document_id.int - 1][citation.start : citation.end] == citation.quote
    return draft


def quotes(draft: Draft) -> list[str]:
    return [citation.quote for citation in draft.citations]


async def test_a_procedure_is_quoted_step_by_step(encoder: TextEncoder) -> None:
    draft = await asked(encoder, "How do I install the heater?", INSTALL, RULES)
    assert "1. Switch the mains off." in quotes(draft)[0]
    rest = ["2. Screw the bracket to the wall.", "3. Hang the heater on the bracket.", "4. Connect the cable."]
    assert quotes(draft)[1:] == rest
    assert draft.text.endswith("3. Hang the heater on the bracket. [3] 4. Connect the cable. [4]")
    assert [sentence.citations for sentence in draft.sentences] == [(1,), (2,), (3,), (4,)]


async def test_steps_that_come_right_after_a_sentence_are_quoted_with_it(encoder: TextEncoder) -> None:
    text = INSTALL.replace("do this:", "you need a drill and an hour.")
    draft = await asked(encoder, "How do I install the heater?", text, RULES)
    assert quotes(draft)[0] == "To install the heater, you need a drill and an hour."
    assert quotes(draft)[-1] == "4. Connect the cable."


async def test_a_list_scattered_over_prose_is_gathered(encoder: TextEncoder) -> None:
    draft = await asked(encoder, "Which formats are accepted?", FORMATS, RULES)
    assert 2 <= len(draft.citations) <= MOST
    assert not any("Bern" in quote or "badge" in quote for quote in quotes(draft))


async def test_each_part_of_a_question_is_answered(encoder: TextEncoder) -> None:
    draft = await asked(encoder, "When does the office open and how much does a lost badge cost?", RULES, INSTALL)
    assert sorted(quotes(draft)) == ["A lost badge costs twenty euros.", "The office opens at eight in the morning."]


async def test_a_question_for_one_fact_gets_one_sentence(encoder: TextEncoder) -> None:
    assert len((await asked(encoder, "How much does a lost badge cost?", RULES, INSTALL)).citations) == 1


@pytest.mark.parametrize("question", ["How do I install the heater?", "Which formats are accepted?"])
async def test_the_closest_sentence_and_the_confidence_are_the_same_with_one_sentence_and_with_several(
    encoder: TextEncoder, question: str
) -> None:
    one = await asked(encoder, question, INSTALL, FORMATS, several=False)
    more = await asked(encoder, question, INSTALL, FORMATS)
    assert quotes(one) == quotes(more)[:1]
    assert more.confidence == one.confidence


async def test_what_is_not_there_is_declined_in_lists_and_parts_too(encoder: TextEncoder) -> None:
    for question in ("How do I bake sourdough bread?", "Who won the cup and where was the final played?"):
        assert (await asked(encoder, question, INSTALL, RULES)).abstained


async def test_a_long_answer_goes_on_behind_the_closest_sentence_and_repeats_nothing(encoder: TextEncoder) -> None:
    draft = await asked(encoder, "How do I install the heater?", INSTALL)
    longer = at_length(draft, [passage(INSTALL)], "long")
    assert quotes(longer)[:4] == quotes(draft)
    assert quotes(longer)[4:] == ["The heater weighs nine kilograms."]


@pytest.mark.parametrize(
    ("question", "several"),
    [
        ("How do I reset the badge?", True),
        ("how to reset a badge", True),
        ("List the holidays", True),
        ("What kinds of leave are there?", True),
        ("How do plants absorb water?", False),
        ("How long does it take?", False),
        ("Who signs the list of visitors?", False),
        ("What is the capital?", False),
    ],
)
def test_lists_and_procedures_are_told_from_facts(question: str, several: bool) -> None:
    assert wants_several(question) is several


@pytest.mark.parametrize(
    ("question", "parts"),
    [
        ("When does the office open and who has the key to the cellar?", 2),
        ("When does the office open? Who has the key to the cellar?", 2),
        ("Ctenophores, cnidarians and what other group are labelled diploblastic?", 0),
        ("How long is green tea steeped and how hot?", 0),
        ("Who are Ada and Bob?", 0),
    ],
)
def test_a_question_is_taken_apart_only_where_each_part_can_be_searched_for(question: str, parts: int) -> None:
    assert len(parts_of(question)) == parts


@given(st.text(max_size=300))
def test_any_question_can_be_taken_apart(question: str) -> None:
    assert isinstance(wants_several(question), bool)
    assert len(parts_of(question)) != 1
