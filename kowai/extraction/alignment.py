"""Alignment: which word of a sentence stands for each word of a question, by the states an encoder gives its tokens."""

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kowai.embedding.states import Encoded
from kowai.extraction.words import STOP_WORDS, Word, rarity, words_of

ASKING = frozenset("who whom whose when where why how what which".split())
LAYERS = ("first", "last")
COMMON = 0.2
UNEXPLAINED = 1.0  # what a question without such words is given: nothing about it is unexplained

Matrix = NDArray[np.float32]


class Tokens(NamedTuple):
    """Hold the words of a text's tokens with their states, float32 of unit length: (layers, tokens, width).

    `encoded` is what the encoder made of the text, special tokens included.
    """

    words: list[Word]
    states: Matrix
    encoded: Encoded


@cache
def centre() -> Matrix:
    """Return the mean states of tokens, shape (3, 1, width) as of Encoded: what all of them share tells nothing."""
    stored = json.loads(files("kowai.extraction").joinpath("token_centre.json").read_text())
    return np.array(stored, np.float32)[:, None]


def tokens_of(text: str, encoded: Encoded) -> Tokens:
    """Give each token the word it is part of, and its states the directions in which they leave the centre."""
    words, kept, found, at = words_of(text), list[int](), list[Word](), 0
    for token, (start, end) in enumerate(encoded.offsets.tolist()):
        while at < len(words) and words[at].end <= start:
            at += 1
        if start < end and at < len(words) and words[at].start < end and words[at].kind != "mark":
            kept.append(token)
            found.append(words[at])
    states = (encoded.states[:, kept] - centre())[[0, -1]]
    return Tokens(found, states / np.maximum(np.linalg.norm(states, axis=-1, keepdims=True), 1e-6), encoded)


def alignment(asked: Tokens, field: Sequence[Tokens]) -> dict[str, float]:
    """Describe how well the first sentence of a field, and the field, explain the question; {} where nothing can."""
    sentence = field[0]
    said = [n for n, word in enumerate(asked.words) if word.lower not in ASKING]
    content = [n for n in said if asked.words[n].lower not in STOP_WORDS]
    if not content or not sentence.words:
        return {}
    found: dict[str, float] = {}
    for layer, name in enumerate(LAYERS):
        near = asked.states[layer] @ sentence.states[layer].T
        anywhere = np.max([(asked.states[layer] @ each.states[layer].T).max(1) for each in field if each.words], axis=0)
        described = {
            **_explained(asked, sentence, near, content),
            **_partners(asked, sentence, near, content),
            **_asking(asked, near),
            **_field(asked, near.max(1), anywhere, content),
            "said": float(near[said].max(1).mean()),
            "said_least": float(near[said].max(1).min()),
            "heard": float(near[said].max(0).mean()),
            "pooled": _cosine(asked.states[layer].mean(0), sentence.states[layer].mean(0)),
        }
        found |= {f"{name}_{key}": value for key, value in described.items()}
    return found


def _explained(asked: Tokens, sentence: Tokens, near: Matrix, content: list[int]) -> dict[str, float]:
    """Describe how near the words that matter come to a word of the sentence."""
    stems = {word.stem for word in sentence.words}
    best = near[content].max(1)
    words = [asked.words[n] for n in content]
    weight = np.array([COMMON + rarity(word.stem) for word in words])
    same = np.array([word.stem in stems for word in words])
    named = np.array([_is_name(word) for word in words])
    least = np.sort(best)
    return {
        "explained": float((best * weight).sum() / weight.sum()),
        "explained_least": float(least[0]),
        "explained_least_two": float(least[:2].mean()),
        "explained_rarest": float((1 - (1 - best) * weight).min()),
        "unmatched": float(best[~same].mean()) if (~same).any() else UNEXPLAINED,
        "unmatched_least": float(best[~same].min()) if (~same).any() else UNEXPLAINED,
        "names_least": float(best[named].min()) if named.any() else UNEXPLAINED,
        "matched": float(best[same].mean()) if same.any() else 0.0,
        "matched_least": float(best[same].min()) if same.any() else 0.0,
    }


def _partners(asked: Tokens, sentence: Tokens, near: Matrix, content: list[int]) -> dict[str, float]:
    """Describe the nearest words of those that the sentence lacks: taken by another word, or of another shape."""
    stems = {word.stem for word in sentence.words}
    best = near.argmax(1)
    taken = {int(best[n]) for n in content if asked.words[n].stem in stems}
    lacking = [n for n in content if asked.words[n].stem not in stems]
    if not lacking:
        return {"partners_taken": -1.0, "partners_alike": -1.0}
    alike = [_shape(asked.words[n]) == _shape(sentence.words[int(best[n])]) for n in lacking]
    return {
        "partners_taken": sum(int(best[n]) in taken for n in lacking) / len(lacking),
        "partners_alike": sum(alike) / len(lacking),
    }


def _asking(asked: Tokens, near: Matrix) -> dict[str, float]:
    """Describe how near the question word comes to the sentence's words."""
    at = next((n for n, word in enumerate(asked.words) if word.lower in ASKING), None)
    if at is None:
        return {"asking": 0.0, "asking_mean": 0.0}
    return {"asking": float(near[at].max()), "asking_mean": float(near[at].mean())}


def _field(asked: Tokens, here: Matrix, anywhere: Matrix, content: list[int]) -> dict[str, float]:
    """Describe what the other sentences explain better: a question mixed from two has its words in both."""
    weight = np.array([COMMON + rarity(asked.words[n].stem) for n in content])
    gain = (anywhere - here)[content]
    return {
        "field_explained": float((anywhere[content] * weight).sum() / weight.sum()),
        "field_least": float(anywhere[content].min()),
        "field_gain": float((gain * weight).sum() / weight.sum()),
        "field_gain_most": float(gain.max()),
    }


def _is_name(word: Word) -> bool:
    return word.kind == "number" or (word.text[0].isupper() and word.start > 0)


def _shape(word: Word) -> tuple[bool, bool]:
    return word.kind == "number", word.text[0].isupper()


def _cosine(one: Matrix, other: Matrix) -> float:
    return float(one @ other / max(float(np.linalg.norm(one) * np.linalg.norm(other)), 1e-6))
