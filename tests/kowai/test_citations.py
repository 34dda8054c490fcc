"""Each sentence of a written answer carries the spans that support it; what nothing supports is marked or removed."""

from collections.abc import Sequence
from hashlib import sha256
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kowai.citations import UNSUPPORTED, cite, fitting
from kowai.claims import claims_of
from kowai.extraction.words import stems_of
from kowai.types import Passage

TEA = (
    "Green tea is steeped for three minutes at 80 degrees. Black tea takes five minutes. Tea was first grown in China."
)
LEAVE = "Employees receive 25 days of paid leave a year. Leave that is not taken expires on 31 March."


async def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """Give each stem a direction of its own, so that texts with the same words are near."""
    rows = np.zeros((len(texts), 384), np.float32)
    for row, text in zip(rows, texts, strict=True):
        for root in stems_of(text):
            row[int(sha256(root.encode()).hexdigest(), 16) % 384] += 1
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def passage(text: str, document: int = 1) -> Passage:
    place = {"document_id": UUID(int=document), "external_id": "guide.md", "title": None, "version": 1, "page": None}
    return Passage(chunk_id=document, start=0, end=len(text), heading_path="", text=text, score=1.0, **place)


PASSAGES = [passage(TEA, 1), passage(LEAVE, 2)]


async def test_each_sentence_is_cited_by_the_span_that_says_it() -> None:
    cited = await cite(
        "Green tea is steeped for 3 minutes [1]. You receive 25 days of paid leave [2].", PASSAGES, embed
    )
    assert cited.text == "Green tea is steeped for 3 minutes. [1] You receive 25 days of paid leave. [2]"
    assert [citation.quote for citation in cited.citations] == [
        "Green tea is steeped for three minutes at 80 degrees.",
        "Employees receive 25 days of paid leave a year.",
    ]
    assert [(each.citations, each.supported) for each in cited.sentences] == [((1,), True), ((2,), True)]


@pytest.mark.parametrize(
    "wrong",
    [
        "Green tea is steeped for four minutes [1].",
        "Green tea is not steeped for three minutes [1].",
        "Coffee was invented by Napoleon [1].",
        "Leave that is taken expires on 31 March [2].",
    ],
)
async def test_a_wrong_number_a_denial_or_a_stranger_takes_the_citation_away(wrong: str) -> None:
    cited = await cite(wrong, PASSAGES, embed)
    assert cited.citations == ()
    assert cited.text.endswith(UNSUPPORTED)


async def test_an_unsupported_sentence_is_removed_where_the_policy_says_so() -> None:
    answer = "Black tea takes five minutes [1]. Napoleon drank it every morning [1]."
    marked = await cite(answer, PASSAGES, embed)
    removed = await cite(answer, PASSAGES, embed, unsupported="remove")
    assert marked.text == f"Black tea takes five minutes. [1] Napoleon drank it every morning. {UNSUPPORTED}"
    assert removed.text == "Black tea takes five minutes. [1]"
    assert [each.supported for each in marked.sentences] == [True, False]
    assert (marked.supported, removed.supported) == (0.5, 0.5)


async def test_a_sentence_without_a_marker_or_with_a_wrong_one_is_looked_for_in_every_passage() -> None:
    cited = await cite("Black tea takes five minutes. Leave not taken expires on 31 March [1].", PASSAGES, embed)
    assert [citation.document_id.int for citation in cited.citations] == [1, 2]


async def test_a_model_may_refuse_what_words_allow() -> None:
    async def confirm(pairs: Sequence[tuple[str, str]]) -> list[bool]:
        return ["tea" not in claim for claim, _ in pairs]

    cited = await cite(
        "Black tea takes five minutes [1]. You receive 25 days of paid leave [2].", PASSAGES, embed, confirm=confirm
    )
    assert [each.supported for each in cited.sentences] == [False, True]


def test_what_only_leads_on_belongs_to_the_sentence_after_it() -> None:
    claims = claims_of("Yes. Black tea takes five minutes [1].\n\nThere are two rules:\n- Boil the water first [2].")
    assert [claim.marked for claim in claims] == [(1,), (2,)]
    assert claims[0].text.startswith("Yes. Black tea")
    assert "".join(claim.gap + claim.text for claim in claims).count("\n") == 3


PIECES = st.sampled_from(
    ["Tea.", " [1]", "[2]", "[999]", "\n- ", "Green tea takes 3 minutes", ". ", "not", "🙂", "[", "a:"]
)


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=20).map("".join)))
async def test_whatever_a_model_says_citations_are_exact_and_numbered(answer: str) -> None:
    cited = await cite(answer, PASSAGES, embed)
    texts = {1: TEA, 2: LEAVE}
    for citation in cited.citations:
        assert texts[citation.document_id.int][citation.start : citation.end] == citation.quote
    used = {number for each in cited.sentences for number in each.citations}
    assert used == set(range(1, len(cited.citations) + 1))
    assert all(each.supported == bool(each.citations) for each in cited.sentences)


def test_a_check_takes_every_claims_best_quote_before_any_second_one() -> None:
    pairs = [("a", "first"), ("a", "second"), ("b", "first")]
    assert fitting(pairs, [10, 10, 10], 30) == [0, 1, 2]
    assert fitting(pairs, [10, 10, 10], 29) == [0, 2]
    assert fitting(pairs, [10, 10, 10], 9) == []
