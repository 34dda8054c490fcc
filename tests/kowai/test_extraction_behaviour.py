"""Over a handbook nobody trained on, answers hold what was asked and questions about other things are declined."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from numpy.typing import NDArray

from kowai.embedding.checkpoint import bundled
from kowai.embedding.encoder import TextEncoder
from kowai.embedding.states import Encoded
from kowai.extraction import extract
from kowai.types import Draft, Passage

DATA = Path(__file__).parent.parent / "data"
HANDBOOK = (DATA / "handbook.md").read_text()
QUESTIONS: dict[str, list[dict[str, str | None]]] = json.loads((DATA / "handbook_questions.json").read_text())
LEAST = {
    "fact": 0.7,
    "keywords": 0.7,
    "imperative": 0.6,
    "yes or no": 0.6,
    "typos": 0.5,
    "elsewhere": 0.9,
    "near miss": 0.3,
    "other languages": 0.9,
}


def sections() -> list[Passage]:
    starts = [place for place in range(len(HANDBOOK)) if HANDBOOK.startswith("# ", place)]
    pairs = zip(starts, [*starts[1:], len(HANDBOOK)], strict=True)
    place = {"document_id": UUID(int=1), "external_id": "handbook.md", "title": "Handbook", "version": 1, "page": None}
    return [
        Passage(chunk_id=start, start=start, end=end, heading_path="", text=HANDBOOK[start:end], score=1.0, **place)
        for start, end in pairs
    ]


@pytest.fixture(scope="module", params=["with states", "without"])
def drafts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Draft]:
    """Answer every question from the five sections nearest to it, with and without the states of tokens."""
    encoder = TextEncoder(bundled(), tmp_path_factory.mktemp("models"))
    passages = sections()
    vectors = encoder.embed([passage.text for passage in passages])

    async def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        return encoder.embed(texts)

    async def read(question: str, sentences: Sequence[str]) -> list[Encoded]:
        return encoder.read([question, *sentences])

    def answer(question: str) -> Draft:
        near = np.argsort(-(vectors @ encoder.embed([question])[0]))[:5]
        shown = {"read": read} if request.param == "with states" else {}
        return asyncio.run(extract(question, [passages[at] for at in near], embed, **shown))

    return {str(row["question"]): answer(str(row["question"])) for rows in QUESTIONS.values() for row in rows}


def is_right(row: dict[str, str | None], draft: Draft) -> bool:
    return draft.abstained if row["holds"] is None else row["holds"].lower() in draft.text.lower()


@pytest.mark.parametrize("kind", QUESTIONS)
def test_most_questions_of_a_kind_are_answered_or_declined_as_they_should_be(
    kind: str, drafts: dict[str, Draft]
) -> None:
    right = [is_right(row, drafts[str(row["question"])]) for row in QUESTIONS[kind]]
    wrong = [row["question"] for row, ok in zip(QUESTIONS[kind], right, strict=True) if not ok]
    assert np.mean(right) >= LEAST[kind], wrong


def test_every_quote_is_the_handbooks_own_text(drafts: dict[str, Draft]) -> None:
    cited = [citation for draft in drafts.values() for citation in draft.citations]
    assert cited
    assert all(HANDBOOK[citation.start : citation.end] == citation.quote for citation in cited)
