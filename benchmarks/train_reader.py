"""Train the pair reader: on clozes of scientific abstracts, then on SQuAD 2.0's questions; read them out of fold.

    pip install torch==2.13.0 lightgbm    # beside the product: they are needed here only
    KOWAI_DATA=... python benchmarks/train_reader.py ROWS [--write]

ROWS is what `train_judge.py --rows ROWS` kept; the reader's logits are added to it, each by a reader that has not seen
the row's article. `--write` then trains on all articles and writes kowai/extraction/pair_reader.onnx. It takes 8 GB of
memory and half an hour of a processor.
"""

# pyright: basic, reportMissingImports=false
# torch is there for training alone, so its types are unknown.

import argparse
import copy
import json
import os
import pickle
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from cloze import Alike, clozes
from judge_fitting import folds
from judge_rows import SEED, Encoder, Row, lines
from reader_graph import meeting, write_graph
from reader_network import LAYERS, Network, Pair, scores_of, train

from kowai.embedding.checkpoint import bundled
from kowai.embedding.states import Encoded
from kowai.embedding.tensors import Tensors, read_tensors, within
from kowai.extraction.evidence import Sentence, quotables
from kowai.extraction.pair_reader import given, readings

CLOZES, CLOZE_RATE, RATE, EPOCHS, BATCH = 28_000, 2.5e-4, 1e-4, 3, 32
LEAST_ALIKE, NEIGHBOURS = 0.45, 8
WORD = "embeddings.word_embeddings.weight"


class Pairs:
    """Make what a network reads of two texts."""

    def __init__(self) -> None:
        self._known = Encoder().known
        self._meeting: Any = onnxruntime.InferenceSession(meeting())

    def of(self, question: str, sentence: str, answer: tuple[int, int] | None = None) -> Pair:
        """Return the pair; `answer` are its characters in the sentence."""
        both = self._known(question, sentence)
        tokens = given(*both)
        partners, known = self._meeting.run(None, tokens)
        halved = {
            name: each.astype(np.float16) for name, each in (("states", tokens["states"]), ("partners", partners))
        }
        rest = {"known": known, "side": tokens["side"], "spoken": tokens["spoken"]}
        span, before = answer and _tokens(both[1], answer), len(both[0].ids)
        return Pair(halved | rest, span and (before + span[0], before + span[1]))


def _tokens(sentence: Encoded, answer: tuple[int, int]) -> tuple[int, int] | None:
    start, end = answer
    held = [n for n, (a, b) in enumerate(sentence.offsets.tolist()) if a < end and b > start and b > a]
    return (held[0], held[-1]) if held else None


def neighbours(tensors: Tensors) -> Alike:
    """Return what names a word whose embedding is near."""
    vocabulary = json.loads(bundled().tokenizer.read_text())["model"]["vocab"]
    plain = {word: place for word, place in vocabulary.items() if word.isascii() and word.isalpha() and len(word) > 2}
    words, unit = list(plain), tensors[WORD][list(plain.values())]
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    at, known = {word: n for n, word in enumerate(words)}, dict[str, list[str]]()

    def alike(word: str, dice: random.Random) -> str | None:
        word = word.lower()
        if word in at and word not in known:
            near = unit @ unit[at[word]]
            best = [n for n in np.argsort(-near)[1:NEIGHBOURS] if near[n] > LEAST_ALIKE]
            known[word] = [words[n] for n in best]
        return dice.choice(known[word]) if known.get(word) else None

    return alike


def lessons(rows: Sequence[Row], pairs: Pairs) -> dict[tuple[str, str], tuple[str, Pair]]:
    """Return pairs to learn from with their article: what was read for a question, and where its answer stands."""
    found: dict[tuple[str, str], tuple[str, Pair]] = {}
    sentences = {each["_id"]: _sentences(each["text"]) for each in lines("corpus.jsonl")}
    for row in rows:
        if row.kind not in ("gold", "retrieved"):
            continue
        texts = {row.read: row.answers if row.own else []}
        if row.kind == "gold":
            texts |= {row.quote: row.answers}
            texts |= {text: row.answers for text in sentences[row.paragraph] if _answer(text, row.answers)}
        for text, answers in texts.items():
            found[row.question, text] = row.article, pairs.of(row.question, text, _answer(text, answers))
    return found


def _sentences(text: str) -> list[str]:
    return [Sentence(text, each).text for each in quotables(text)]


def _answer(text: str, answers: Sequence[str]) -> tuple[int, int] | None:
    """Return where the longest answer stands that the text holds."""
    for answer in sorted(set(answers), key=len, reverse=True):
        if answer in text:
            return text.index(answer), text.index(answer) + len(answer)
    return None


def shuffled(pairs: Sequence[Pair], epochs: int, dice: random.Random) -> Iterator[Sequence[Pair]]:
    """Yield batches of about equally long pairs."""
    for _ in range(epochs):
        order = sorted(pairs, key=lambda pair: len(pair) + 6 * dice.random())
        batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
        dice.shuffle(batches)
        yield from batches


def start(pairs: Pairs) -> Network:
    """Return a reader that has learnt from clozes: no text of SQuAD is in it."""
    tensors = read_tensors(bundled().weights, bundled().digest)
    dice, folder = random.Random(SEED), Path(os.environ.get("KOWAI_DATA", "../shared/data"))
    texts = [json.loads(line)["text"] for line in (folder / "scifact" / "corpus.jsonl").read_text().splitlines()]
    asked = list(clozes(texts, neighbours(tensors), dice))
    dice.shuffle(asked)
    network = Network([within(tensors, f"encoder.layer.{layer}.") for layer in LAYERS])
    train(network, list(shuffled([pairs.of(*each) for each in asked[:CLOZES]], 1, dice)), CLOZE_RATE)
    return network


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", type=Path)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    rows, pairs = [Row(*row) for row in pickle.loads(asked.rows.read_bytes())], Pairs()
    begun, learnt = start(pairs), lessons(rows, pairs)

    def taught(wanted: Callable[[str], bool]) -> Network:
        network, dice = copy.deepcopy(begun), random.Random(SEED)
        shown = [pair for article, pair in learnt.values() if wanted(article)]
        train(network, list(shuffled(shown, EPOCHS, dice)), RATE)
        return network.eval()

    articles = np.array([row.article for row in rows])
    for held in folds(articles):
        away = set(articles[held].tolist())
        network = taught(lambda article, away=away: article not in away)
        for place in np.flatnonzero(held).tolist():
            rows[place].features.update(_read(network, pairs.of(rows[place].question[:600], rows[place].read)))
    asked.rows.write_bytes(pickle.dumps([tuple(row) for row in rows]))
    if asked.write:
        network = taught(lambda _: True)
        write_graph(network.held(), network.rest(), Path(str(files("kowai.extraction"))) / "pair_reader.onnx")


def _read(network: Network, pair: Pair) -> Mapping[str, Any]:
    return readings(scores_of(network, pair), pair.given)


if __name__ == "__main__":
    main()
