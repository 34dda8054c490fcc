"""Print how well offline answers know what they know, on SQuAD 2.0: AUROC, ECE, abstention F1, EM, F1, citations.

    KOWAI_DATA=... python benchmarks/answer_quality.py [QUESTIONS]

The judge is fitted anew for each fold of articles, so that no figure is of an article its weights have seen.
"""

import asyncio
import json
import os
import random
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from tempfile import gettempdir
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from kowai.citations import cite
from kowai.embedding.checkpoint import bundled
from kowai.embedding.encoder import TextEncoder
from kowai.extraction.asked import read_question
from kowai.extraction.evidence import gather
from kowai.extraction.model import judge
from kowai.extraction.reading import closest, shortlist
from kowai.extraction.sentence_features import sentence_features
from kowai.types import Passage

SEED, FOLDS, BINS, PENALTY = 0, 6, 15, 20.0
ASKING = re.compile(r"\b(?:who|whom|whose|what|which|when|where|why|how)\b|\?", re.IGNORECASE)
Matrix = NDArray[np.float64]


class Read(NamedTuple):
    """Hold one question as it was read: its article, features, the sentence to quote and the right answers."""

    article: str
    features: dict[str, float]
    quote: str
    answers: list[str]


class Encoder:
    """Remember vectors: a paragraph's sentences are asked about many times."""

    def __init__(self) -> None:
        self._model = TextEncoder(bundled(), Path(gettempdir()) / "kowai-benchmark-models")
        self._known: dict[str, NDArray[np.float32]] = {}

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        fresh = [text for text in dict.fromkeys(texts) if text not in self._known]
        self._known.update(zip(fresh, self._model.embed(fresh), strict=True))
        return np.array([self._known[text] for text in texts])


def lines(name: str) -> list[dict[str, Any]]:
    path = Path(os.environ["KOWAI_DATA"]) / "squad_v2.0" / name
    return [json.loads(line) for line in path.read_text().splitlines()]


def passage_of(paragraph: dict[str, Any]) -> Passage:
    text = paragraph["text"]
    place = {"document_id": UUID(int=1), "external_id": paragraph["_id"], "title": paragraph["title"], "version": 1}
    return Passage(chunk_id=1, page=None, start=0, end=len(text), heading_path="", text=text, score=1.0, **place)


async def read(question: dict[str, Any], passage: Passage, encoder: Encoder) -> Read | None:
    asked = read_question(question["text"])
    places = shortlist(asked, gather(asked, [passage]))
    if not places:
        return None
    vectors = await encoder.embed([asked.text, *(evidence.sentences[at].text for evidence, at in places)])
    field = closest(asked, places, (vectors[1:] @ vectors[0]).tolist())
    quote = field[0].sentence.quote
    features = sentence_features(asked, field[0], field) | {"place_in_field": 0.0}
    article = question["paragraph"].split("::")[0]
    return Read(article, features, passage.text[quote.start : quote.end], question["answers"])


def matrix(reads: Sequence[Read]) -> Matrix:
    """Return the judge's own terms: each feature drawn in, and its products of two."""
    rows: list[list[float]] = []
    for each in reads:
        drawn = {name: float(np.sign(value) * np.log1p(abs(value))) for name, value in each.features.items()}
        rows.append([float(np.prod([drawn[part] for part in name.split("*")])) for name in judge().weights])
    return np.array(rows)


def fitted(terms: Matrix, right: Matrix) -> Matrix:
    """Return the weights of a ridge-penalised logistic regression, the bias last (Newton's method)."""
    design = np.hstack([terms, np.ones((len(terms), 1))])
    weights, ridge = np.zeros(design.shape[1]), PENALTY * np.eye(design.shape[1])
    ridge[-1, -1] = 1e-6
    for _ in range(15):
        said = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        slope = design.T @ (right - said) - ridge @ weights
        weights += np.linalg.solve((design * (said * (1 - said))[:, None]).T @ design + ridge, slope)
    return weights


def confidences(reads: Sequence[Read]) -> Matrix:
    """Return for each question what a judge says that never saw its article."""
    terms, right = matrix(reads), np.array([float(bool(each.answers)) for each in reads])
    articles = sorted({each.article for each in reads})
    random.Random(SEED).shuffle(articles)
    fold = np.array([articles.index(each.article) % FOLDS for each in reads])
    found = np.zeros(len(reads))
    for held in set(fold.tolist()):
        seen = fold != held
        centre, spread = terms[seen].mean(axis=0), terms[seen].std(axis=0) + 1e-9
        weights = fitted((terms[seen] - centre) / spread, right[seen])
        found[~seen] = (terms[~seen] - centre) / spread @ weights[:-1] + weights[-1]
    return 1 / (1 + np.exp(-found))


def auroc(sure: Matrix, right: Matrix) -> float:
    order = np.argsort(np.argsort(sure)) + 1.0
    positives = right.sum()
    return float((order[right == 1].sum() - positives * (positives + 1) / 2) / (positives * (len(right) - positives)))


def calibration_error(sure: Matrix, right: Matrix) -> float:
    place = np.minimum((sure * BINS).astype(int), BINS - 1)
    return sum(
        abs(sure[place == n].mean() - right[place == n].mean()) * np.mean(place == n) for n in set(place.tolist())
    )


def abstention_f1(sure: Matrix, right: Matrix, threshold: float) -> float:
    said, meant = sure < threshold, right == 0
    return float(2 * (said & meant).sum() / max(1, said.sum() + meant.sum()))


def words(text: str) -> list[str]:
    """Normalise as SQuAD's own script does: lower case, no punctuation, no articles."""
    return [word for word in re.findall(r"\w+", text.lower()) if word not in ("a", "an", "the")]


def overlap(quote: str, answer: str) -> float:
    one, other = words(quote), words(answer)
    same = sum((Counter(one) & Counter(other)).values())
    return 2 * same / (len(one) + len(other)) if same else 0.0


def quoted(reads: Sequence[Read], sure: Matrix, threshold: float) -> tuple[float, float]:
    """Return SQuAD 2.0's exact match and F1: an abstention is right where there is no answer."""
    exact, partial = 0.0, 0.0
    for each, confidence in zip(reads, sure, strict=True):
        if confidence < threshold or not each.answers:
            right = float(confidence < threshold and not each.answers)
            exact, partial = exact + right, partial + right
            continue
        exact += any(words(each.quote) == words(answer) for answer in each.answers)
        partial += max(overlap(each.quote, answer) for answer in each.answers)
    return exact / len(reads), partial / len(reads)


async def citations(questions: Sequence[dict[str, Any]], paragraphs: dict[str, Passage], encoder: Encoder) -> str:
    """Cite right claims and claims with another question's answer; a citation is right if its span holds the answer."""
    answered, others = [each for each in questions if each["answers"]], defaultdict[str, list[str]](list)
    for each in answered:
        others[each["paragraph"]].append(each["answers"][0])
    cited = right = 0
    for each in answered:
        passage, stated = paragraphs[each["paragraph"]], ASKING.sub("", each["text"]).strip()
        strange = [answer for answer in others[each["paragraph"]] if answer not in each["answers"]]
        for answer in [each["answers"][0], *strange[:1]]:
            found = (await cite(f"{stated} {answer} [1].", [passage], encoder.embed)).citations
            cited += bool(found)
            right += bool(found) and answer in each["answers"] and answer in found[0].quote
    return f"citation precision {right / max(1, cited):.3f}, recall {right / max(1, len(answered)):.3f}"


async def main() -> None:
    paragraphs = {each["_id"]: passage_of(each) for each in lines("corpus.jsonl")}
    questions, encoder = lines("queries.jsonl"), Encoder()
    random.Random(SEED).shuffle(questions)
    questions = questions[: int(sys.argv[1]) if len(sys.argv) > 1 else len(questions)]
    found = [await read(each, paragraphs[each["paragraph"]], encoder) for each in questions]
    reads = [each for each in found if each is not None]
    sure, right = confidences(reads), np.array([float(bool(each.answers)) for each in reads])
    print(f"{len(reads)} questions, {len({each.article for each in reads})} articles, {FOLDS} folds by article")
    print(f"AUROC {auroc(sure, right):.3f}, expected calibration error {calibration_error(sure, right):.3f}")
    for threshold in (0.3, 0.5):
        exact, partial = quoted(reads, sure, threshold)
        score = abstention_f1(sure, right, threshold)
        print(f"threshold {threshold}: abstention F1 {score:.3f}, exact match {exact:.3f}, F1 {partial:.3f}")
    print(await citations(questions, paragraphs, encoder))


if __name__ == "__main__":
    asyncio.run(main())
