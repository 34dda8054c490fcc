"""What the judge learns from: SQuAD 2.0's questions, put to their own paragraph, to retrieved ones and to foreign ones.

The same questions come with typing errors and as keyword queries too. All choices are seeded.
"""

import json
import os
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from math import log
from pathlib import Path
from tempfile import gettempdir
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from kowai.embedding.checkpoint import bundled
from kowai.embedding.encoder import TextEncoder
from kowai.embedding.states import Encoded
from kowai.extraction.asked import read_question
from kowai.extraction.field import find
from kowai.extraction.words import STOP_WORDS
from kowai.terms import words
from kowai.types import Passage

SEED, PASSAGES = 0, 5
SHARES = {"gold": 1.0, "retrieved": 1.0, "typos": 0.35, "keywords": 0.35, "elsewhere": 0.35}
SATURATION, LENGTH = 1.2, 0.75  # BM25's k1 and b


class Row(NamedTuple):
    """Hold a question as it was read: where it comes from, whether the passages hold an answer, the best sentence.

    `read` is the text of the nearest sentence, which is judged, and `own` says that it is of the question's paragraph.
    """

    kind: str
    article: str
    question: str
    answerable: bool
    held: bool
    answers: list[str]
    features: dict[str, float]
    quote: str
    paragraph: str
    read: str
    own: bool


class Encoder:
    """Remember what was read: a paragraph's sentences are asked about many times."""

    def __init__(self) -> None:
        self.model = TextEncoder(bundled(), Path(gettempdir()) / "kowai-benchmark-models")
        self._known: dict[str, Encoded] = {}

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([self._read(text).vector for text in texts])

    async def read(self, question: str, sentences: Sequence[str]) -> list[Encoded]:
        return self.known(question, *sentences)

    def known(self, *texts: str) -> list[Encoded]:
        halved = [self._read(text) for text in texts]
        return [each._replace(states=each.states.astype(np.float32)) for each in halved]

    def _read(self, text: str) -> Encoded:
        if text not in self._known:
            encoded = self.model.read([text])[0]
            self._known[text] = encoded._replace(states=encoded.states.astype(np.float16))
        return self._known[text]


class Library:
    """Search all paragraphs by BM25 and meaning together, each scaled to [0, 1]."""

    def __init__(self, paragraphs: Sequence[dict[str, Any]], encoder: Encoder) -> None:
        self.passages = [passage_of(each) for each in paragraphs]
        self.articles = np.array([article_of(each["_id"]) for each in paragraphs])
        self._encoder = encoder
        self._vectors = encoder.model.embed([f"{each['title']}\n{each['text']}" for each in paragraphs])
        self._postings: dict[str, list[tuple[int, float]]] = {}
        counts = [Counter(words(each["text"])) for each in paragraphs]
        sizes = [sum(count.values()) for count in counts]
        mean = sum(sizes) / len(sizes)
        for index, count in enumerate(counts):
            stretch = SATURATION * (1 - LENGTH + LENGTH * sizes[index] / mean)
            for word, times in count.items():
                self._postings.setdefault(word, []).append((index, times * (SATURATION + 1) / (times + stretch)))

    async def search(self, question: str, *, outside: str | None = None) -> list[Passage]:
        """Return the five best passages, or the five best of other articles than `outside`."""
        lexical = np.zeros(len(self.passages))
        for word in set(words(question)):
            found = self._postings.get(word, [])
            rare = log(1 + (len(self.passages) - len(found) + 0.5) / (len(found) + 0.5))
            for index, weight in found:
                lexical[index] += rare * weight
        dense = self._vectors @ (await self._encoder.embed([question]))[0]
        score = lexical / max(lexical.max(), 1e-9) + (dense - dense.min()) / max(np.ptp(dense), 1e-9)
        score[self.articles == outside] = -1
        return [self.passages[index] for index in np.argsort(-score)[:PASSAGES]]


def lines(name: str) -> list[dict[str, Any]]:
    folder = os.environ.get("KOWAI_DATA", "../shared/data")
    return [json.loads(line) for line in (Path(folder) / "squad_v2.0" / name).read_text().splitlines()]


def article_of(paragraph: str) -> str:
    return paragraph.split("::")[0]


def passage_of(paragraph: dict[str, Any]) -> Passage:
    text = paragraph["text"]
    number = UUID(int=hash_of(paragraph["_id"]))
    place: dict[str, Any] = {
        "document_id": number,
        "external_id": paragraph["_id"],
        "title": paragraph["title"],
        "version": 1,
    }
    return Passage(chunk_id=1, page=None, start=0, end=len(text), heading_path="", text=text, score=1.0, **place)


def hash_of(name: str) -> int:
    return int.from_bytes(name.encode()[-16:])


async def rows(questions: Sequence[dict[str, Any]], paragraphs: Sequence[dict[str, Any]]) -> AsyncIterator[Row]:
    """Read every question in the ways of SHARES, each way for its share of the questions."""
    encoder, dice = Encoder(), random.Random(SEED)
    library = Library(paragraphs, encoder)
    own = {passage.external_id: passage for passage in library.passages}
    for question in questions:
        for kind, share in SHARES.items():
            if dice.random() < share:
                row = await read(kind, question, own[question["paragraph"]], library, encoder, dice)
                if row:
                    yield row


async def read(
    kind: str, question: dict[str, Any], own: Passage, library: Library, encoder: Encoder, dice: random.Random
) -> Row | None:
    text, article = asked_as(kind, question["text"], dice), article_of(own.external_id)
    outside = article if kind == "elsewhere" else None
    near = kind == "gold" or (kind == "typos" and dice.random() < 0.5)
    passages = [own] if near else await library.search(text, outside=outside)
    field = await find(read_question(text), passages, encoder.embed, encoder.read)
    if field.nearest is None:
        return None
    best = field.sentences[0]
    held = question["answerable"] and own in passages
    passage, place = best.evidence.passage, best.sentence.quote
    quote = passage.text[place.start : place.end]
    seen = field.described(field.nearest)
    features = {name: value for name, value in seen.items() if not name.startswith("read_")}  # it has learnt from these
    told = question["answerable"], held, question["answers"], features, quote
    near_by = own.external_id, field.nearest.sentence.text, field.nearest.evidence.passage == own
    return Row(kind, article, text, *told, *near_by)


def asked_as(kind: str, question: str, dice: random.Random) -> str:
    if kind == "typos":
        return mistyped(question, dice)
    if kind == "keywords":
        kept = [word for word in re.findall(r"\w+", question) if word.lower() not in STOP_WORDS]
        return " ".join(kept) if dice.random() < 0.5 else " ".join(kept).lower()
    return question


def mistyped(question: str, dice: random.Random) -> str:
    """Swap, drop or double a letter in one or two words."""
    said = question.split(" ")
    long = [place for place, word in enumerate(said) if len(word) > 4]
    for place in dice.sample(long, min(len(long), dice.randint(1, 2))):
        word = said[place]
        at = dice.randint(1, len(word) - 3)
        changed = (word[at + 1] + word[at], word[at + 1], word[at] * 2 + word[at + 1])
        said[place] = word[:at] + dice.choice(changed) + word[at + 2 :]
    return " ".join(said)
