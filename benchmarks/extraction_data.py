"""What the extractive answerer learns from: SQuAD questions over a gold paragraph, over retrieved ones, and disturbed."""

import json
import math
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, uuid5

import numpy as np
from numpy.typing import NDArray

from kowai.extraction.words import STOP_WORDS, words_of
from kowai.types import Passage

Embed = Callable[[Sequence[str]], NDArray[np.float32]]

DATA = Path(os.environ.get("KOWAI_DATA", Path(__file__).parents[2] / "shared" / "data"))
# Articles of SQuAD 1.1's development set that SQuAD 2.0's does not have: none of them can be in a test half.
ONLY_IN_FIRST = (
    "American_Broadcasting_Company Apollo_program Chloroplast Doctor_Who Genghis_Khan Kenya Martin_Luther "
    "Newcastle_upon_Tyne Nikola_Tesla Super_Bowl_50 Teacher United_Methodist_Church Victoria_and_Albert_Museum"
).split()
RETRIEVED = 5
FOLDS = 3


class Asking(NamedTuple):
    """Hold one question with its gold answers (none when it has no answer), its paragraph and its article."""

    text: str
    answers: tuple[str, ...]
    paragraph: str
    article: str


class Instance(NamedTuple):
    """Hold a question as it is put, over which passages, and how it was made: gold, found, cross, keywords ..."""

    asking: Asking
    setting: str
    text: str
    passages: tuple[Passage, ...]


class Data(NamedTuple):
    askings: list[Asking]
    extra: list[Asking]
    paragraphs: dict[str, str]
    folds: dict[str, int]


def load() -> Data:
    """Read SQuAD 2.0 and, of SQuAD 1.1, the articles that SQuAD 2.0 does not have."""
    second = {row["_id"]: row for row in _rows("squad_v2.0/corpus.jsonl")}
    first = {row["_id"]: row for row in _rows("squad_v1.1/corpus.jsonl") if row["title"] in ONLY_IN_FIRST}
    relevant = dict(line.split("\t")[:2] for line in (DATA / "squad_v1.1/qrels.tsv").read_text().splitlines()[1:])
    askings = [_asking(row, row["paragraph"]) for row in _rows("squad_v2.0/queries.jsonl")]
    extra = [_asking(row, relevant[row["_id"]]) for row in _rows("squad_v1.1/queries.jsonl") if relevant[row["_id"]] in first]
    articles = sorted({asking.article for asking in askings})
    random.Random(5).shuffle(articles)
    folds = {article: number % FOLDS for number, article in enumerate(articles)}
    return Data(askings, extra, {key: row["text"] for key, row in (second | first).items()}, folds)


def _rows(name: str) -> Iterator[dict[str, Any]]:
    with (DATA / name).open() as file:
        yield from map(json.loads, file)


def _asking(row: dict[str, Any], paragraph: str) -> Asking:
    return Asking(row["text"], tuple(row["answers"]), paragraph, paragraph.split("::")[0])


class Retriever:
    """Rank the paragraphs of SQuAD 2.0's articles by BM25 and cosine, min-max fused half and half."""

    def __init__(self, data: Data, embed: Embed) -> None:
        self.keys = [key for key in data.paragraphs if key.split("::")[0] in data.folds]
        self.vectors = embed([data.paragraphs[key] for key in self.keys])
        self.articles = np.array([key.split("::")[0] for key in self.keys])
        counts = [Counter(word.stem for word in words_of(data.paragraphs[key])) for key in self.keys]
        sizes = np.array([sum(count.values()) for count in counts])
        self.norms = 1.2 * (0.25 + 0.75 * sizes / sizes.mean())
        self.postings: dict[str, dict[int, int]] = {}
        for number, count in enumerate(counts):
            for root, times in count.items():
                self.postings.setdefault(root, {})[number] = times

    def find(self, question: str, vector: NDArray[np.float32], without: str | None = None) -> list[str]:
        """Return the keys of the five best paragraphs, of other articles than `without`."""
        scores = np.zeros(len(self.keys))
        for word in words_of(question):
            held = self.postings.get(word.stem, {})
            rare = math.log(1 + (len(self.keys) - len(held) + 0.5) / (len(held) + 0.5))
            for number, times in held.items():
                scores[number] += rare * times * 2.2 / (times + self.norms[number])
        fused = _spread(scores) + _spread(self.vectors @ vector)
        return [self.keys[at] for at in np.argsort(-np.where(self.articles == without, -1, fused))[:RETRIEVED]]


def _spread(scores: NDArray[Any]) -> NDArray[Any]:
    return (scores - scores.min()) / (np.ptp(scores) + 1e-9)


def instances(data: Data, embed: Embed) -> list[Instance]:
    """Put every question in its settings, the same ones at every call."""
    rng = random.Random(7)
    put = [one for asking in data.askings for one in _settings(asking, rng)]
    put += [(asking, "extra", asking.text) for asking in data.extra]
    retriever = Retriever(data, embed)
    texts = list({text for _, _, text in put})
    vectors = dict(zip(texts, embed(texts), strict=True))
    made: list[Instance] = []
    for asking, setting, text in put:
        keys = [asking.paragraph]
        if setting not in ("gold", "extra"):
            without = asking.article if "cross" in setting else None
            keys = retriever.find(text, vectors[text], without)
        titled = rng.random() < 0.4
        made.append(Instance(asking, setting, text, tuple(passage(data, key, titled=titled) for key in keys)))
    return made


def _settings(asking: Asking, rng: random.Random) -> Iterator[tuple[Asking, str, str]]:
    """Yield the question alone with its paragraph, with retrieved ones, and often once more in another form."""
    yield asking, "gold", asking.text
    yield asking, "found", asking.text
    drawn = rng.random()
    if drawn < 0.2:
        yield asking, "cross", asking.text
    elif drawn < 0.4 and asking.answers:
        yield asking, "keywords", keywords(asking.text)
        if rng.random() < 0.6:
            yield asking, "keywords-cross", keywords(asking.text)
    elif drawn < 0.55:
        yield asking, "typo", mistyped(asking.text if rng.random() < 0.5 else asking.text.lower(), rng)
    elif drawn < 0.65:
        yield asking, "lower", asking.text.lower()


def keywords(question: str) -> str:
    """Return the content words of a question, as people type them into a search box."""
    return " ".join(w.lower for w in words_of(question) if w.kind != "mark" and w.lower not in STOP_WORDS)


def mistyped(question: str, rng: random.Random) -> str:
    """Swap, drop or double a letter of one longer word."""
    words = question.split()
    longer = [place for place, word in enumerate(words) if len(word) > 5 and word.isalpha()]
    if longer:
        place = rng.choice(longer)
        word, at = words[place], rng.randrange(1, len(words[place]) - 2)
        swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        words[place] = rng.choice([swapped, word[:at] + word[at + 1 :], word[: at + 1] + word[at:]])
    return " ".join(words)


def passage(data: Data, key: str, *, titled: bool) -> Passage:
    article, number = key.split("::")
    text, start = data.paragraphs[key], int(number) * 100_000
    title = article if titled else None
    place = {"version": 1, "page": None, "start": start, "end": start + len(text), "heading_path": ""}
    owner = {"document_id": uuid5(NAMESPACE_URL, article), "external_id": article, "title": title}
    return Passage(chunk_id=int(number), text=text, score=1.0, **owner, **place)
