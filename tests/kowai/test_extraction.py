"""An extracted answer quotes its passages to the character, or says that they hold none, whatever it is given."""

from collections.abc import Sequence
from hashlib import sha256
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kowai.extraction import NOT_FOUND, extract
from kowai.extraction.asked import read_question
from kowai.extraction.evidence import quotables
from kowai.extraction.opposites import opposed
from kowai.extraction.words import stem, stems_of
from kowai.types import Passage

DOCUMENT = (
    "The bridge was opened in 1932. Its architect was Ada Brown. It is 1,149 metres long and carries eight lanes."
)


async def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """Give each stem a direction of its own, so that texts with the same words are near."""
    rows = np.zeros((len(texts), 384), np.float32)
    for row, text in zip(rows, texts, strict=True):
        for root in stems_of(text):
            row[int(sha256(root.encode()).hexdigest(), 16) % 384] += 1
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def passage(text: str, start: int = 0, document: int = 1) -> Passage:
    return Passage(
        chunk_id=start,
        document_id=UUID(int=document),
        external_id="guide.md",
        title=None,
        version=3,
        page=2,
        start=start,
        end=start + len(text),
        heading_path="",
        text=text,
        score=1.0,
    )


async def test_a_citation_is_the_exact_text_at_its_place_in_the_document() -> None:
    whole = "Preface. " * 9 + DOCUMENT
    draft = await extract("Who was the architect of the bridge?", [passage(DOCUMENT, 81)], embed, threshold=0.0)
    first = draft.citations[0]
    assert whole[first.start : first.end] == first.quote == "Its architect was Ada Brown."
    assert draft.text.startswith("Its architect was Ada Brown. [1]")
    assert (first.version, first.page, draft.model, draft.abstained) == (3, 2, "extractive", False)


async def test_below_the_threshold_the_answer_is_withheld_and_cites_nothing() -> None:
    draft = await extract("Who was the architect?", [passage(DOCUMENT)], embed, threshold=1.01)
    assert (draft.text, draft.citations, draft.abstained) == (NOT_FOUND, (), True)
    assert draft.confidence is not None
    assert 0 < draft.confidence < 1


async def test_a_sentence_that_two_overlapping_passages_hold_is_cited_once() -> None:
    both = [passage(DOCUMENT), passage(DOCUMENT[31:], 31)]
    draft = await extract("Who was the architect?", both, embed, threshold=0.0)
    assert len({(citation.start, citation.end) for citation in draft.citations}) == len(draft.citations)


@pytest.mark.parametrize("question", ["", "?", "the of and", "\x00\x01", "🙂", " \n"])
async def test_a_question_without_words_is_not_answered(question: str) -> None:
    assert (await extract(question, [passage(DOCUMENT)], embed)).abstained


async def test_without_passages_there_is_no_answer() -> None:
    assert (await extract("Who?", [], embed)).abstained
    assert (await extract("Who built it?", [passage(""), passage(" \n")], embed)).abstained


PIECES = [DOCUMENT, "```\n", "| a | 1 |\n", "(", ")", "1998", "你好。", "\x00", "\ufffd", "%", " of "]
GARBAGE = st.one_of(
    st.text(max_size=300),
    st.lists(st.sampled_from(PIECES), max_size=30).map("".join),
)


@settings(max_examples=60, deadline=None)
@given(question=GARBAGE, texts=st.lists(GARBAGE, max_size=4))
async def test_any_text_gets_an_answer_whose_quotes_are_exact(question: str, texts: list[str]) -> None:
    passages = [passage(text, document=number) for number, text in enumerate(texts)]
    draft = await extract(question, passages, embed, threshold=0.0)
    for citation in draft.citations:
        assert texts[citation.document_id.int][citation.start : citation.end] == citation.quote


@pytest.mark.parametrize("unit", ["who ", "a", "(", "because ", "1 ", "Of A ", "你", "not un", ". ", "\x00"])
async def test_enormous_questions_and_passages_are_bounded(unit: str) -> None:
    long = unit * (200_000 // len(unit))
    draft = await extract(long[:10_000], [passage(long), passage(DOCUMENT, document=2)], embed, threshold=0.0)
    assert len(draft.text) < 2_000


@pytest.mark.parametrize(
    ("question", "kind", "focus"),
    [
        ("Who wrote it?", "person", None),
        ("In what year did it open?", "date", "year"),
        ("Which river did it cross?", "place", "riv"),
        ("How many lanes are there?", "number", "lan"),
        ("How do plants grow?", "manner", "plant"),
        ("Why did it fall?", "reason", None),
        ("vacation policy", "statement", None),
        ("Is it open?", "statement", None),
    ],
)
def test_a_question_says_what_it_asks_for(question: str, kind: str, focus: str | None) -> None:
    asked = read_question(question)
    assert asked.kind == kind
    assert focus is None or (asked.focus or "").startswith(focus[:3])


def test_names_numbers_and_negation_of_a_question_are_read() -> None:
    asked = read_question("Which treaty did Ada Brown not sign in 1932?")
    assert asked.names == {"ada", "brown"}
    assert asked.numbers == {"1932"}
    assert asked.negated


def test_a_heading_is_read_with_the_sentence_after_it_and_a_question_is_quoted_with_it_too() -> None:
    text = "# Leave\n\nDays off\n\nYou get 25 days. More text.\n\nHow do I apply? Ask your manager."
    found = quotables(text)
    read = [text[each.span.start : each.span.end] for each in found]
    quoted = [text[each.quote.start : each.quote.end] for each in found]
    assert read == ["# Leave\n\nDays off\n\nYou get 25 days.", "More text.", "How do I apply? Ask your manager."]
    assert quoted == ["You get 25 days.", "More text.", "How do I apply? Ask your manager."]


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("Copy the folder. Days off", "Copy the folder."),
        ("Copy the folder. Head: Ada", "Head: Ada"),
        ("Copy the folder. Head of office\n\nAda Brown", "Ada Brown"),
        ("Days off", "Days off"),
    ],
)
def test_a_short_heading_that_ends_a_text_is_no_sentence_but_a_short_fact_is(text: str, last: str) -> None:
    quote = quotables(text)[-1].quote
    assert text[quote.start : quote.end] == last


def test_inflected_and_irregular_words_share_a_stem() -> None:
    assert len({stem(word) for word in ("invade", "invaded", "invading", "invades")}) == 1
    assert stem("went") == stem("goes") or stem("went") == stem("go")


def test_opposites_are_known_by_pair_and_by_prefix() -> None:
    assert opposed(stem("highest"), frozenset({stem("lowest")}))
    assert opposed("paid", frozenset({"unpaid"}))
    assert not opposed("paid", frozenset({"river"}))


@pytest.mark.parametrize(
    "question",
    [
        "What is Kelp",
        "what's kelp?",
        "What does 'kelp' mean?",
        "Define kelp.",
        "Tell me about kelp",
    ],
)
async def test_who_asks_what_something_is_gets_the_sentence_that_says_so(question: str) -> None:
    text = "Kelp grows fast. Much kelp was cut. Kelp is a brown seaweed of cold seas, tall as trees. It feeds otters."
    draft = await extract(question, [passage(text)], embed, threshold=0.0)
    assert draft.citations[0].quote == "Kelp is a brown seaweed of cold seas, tall as trees."
    assert draft.confidence is not None
    assert draft.confidence >= 0.8


CHOICES = {
    "What does the valve do?": ("Open the valve.", "The valve lets steam out."),
    "What does the code 7 mean?": ("Note the code 7.", "- The code 7 means that the tank is empty."),
    "How do I log in to Kelpo?": ("Kelpo is blue. Kelpo hums. Kelpo is new.", "The login takes a token."),
    "How do I shut down the Kelpo pump?": (
        "Kelpo is blue. Kelpo is new. The Kelpo valve is loud. Kelpo hums.",
        "The pump has a red switch.",
    ),
    "How often is the filter cleaned?": ("The filter is cleaned often and well.", "The filter is cleaned twice a day."),
}


@pytest.mark.parametrize("question", CHOICES)
async def test_the_sentence_that_answers_is_chosen_over_one_with_the_same_words(question: str) -> None:
    other, right = CHOICES[question]
    draft = await extract(question, [passage(f"{other} {right}")], embed, threshold=0.0)
    assert draft.citations[0].quote == right


async def test_who_asks_for_more_than_what_something_is_is_not_put_off_with_that() -> None:
    text = "Kelp is a brown seaweed of cold seas. The food of kelp is light."
    draft = await extract("What is the food of kelp?", [passage(text)], embed, threshold=0.0)
    assert draft.citations[0].quote == "The food of kelp is light."


async def test_a_question_that_a_sentence_quotes_is_no_answer_to_it() -> None:
    text = 'Say `kowai ask "Which port does Prefect use?"` to try it. The port of Prefect is 4200.'
    draft = await extract("Which port does Prefect use?", [passage(text)], embed, threshold=0.0)
    assert draft.citations[0].quote == "The port of Prefect is 4200."
