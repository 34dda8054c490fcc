"""The pair reader: question and sentence read together, by two layers trained to find the answer or that there is none.

It goes on from the states after MiniLM's middle layer, which each of the two has by itself. Every token is told which
token of the other text is most like it, and then attention goes across. benchmarks/train_reader.py wrote its weights.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import as_file, files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kowai.embedding.sessions import open_graph
from kowai.embedding.states import Encoded

LONGEST = 160  # tokens of one text: what is read costs as much as the two are long


def read_together(question: Encoded, sentence: Encoded) -> dict[str, float]:
    """Say how much the sentence looks like an answer, and how much its best span does, as logits."""
    tokens = given(question, sentence)
    return readings(graph().run(None, tokens)[0][0], tokens)


def readings(scores: NDArray[np.float32], tokens: Mapping[str, Any]) -> dict[str, float]:
    """Draw both logits from the scores of each token, (tokens, 3): an answer is here, it begins, it ends.

    The best span is measured against none: both its ends at the first token.
    """
    start, end = scores[:, 1], scores[:, 2]
    inside = (tokens["spoken"] & (tokens["side"] == 1))[0]
    if not inside.any():
        return {"read_answer": float(scores[0, 0]), "read_span": 0.0}
    after = np.maximum.accumulate(end[inside][::-1])[::-1]
    span = float((start[inside] + after).max() - start[0] - end[0])
    return {"read_answer": float(scores[0, 0]), "read_span": span}


def given(question: Encoded, sentence: Encoded) -> dict[str, Any]:
    """Return what the graph takes: the tokens of both, the question's first, and which are words of a text."""
    both = question, sentence
    first, middle = (np.concatenate([each.states[depth][:LONGEST] for each in both]) for depth in (0, 1))
    ids = np.concatenate([each.ids[:LONGEST] for each in both])
    side = np.repeat(np.arange(2), [len(each.ids[:LONGEST]) for each in both])
    offsets = np.concatenate([each.offsets[:LONGEST] for each in both])
    tokens = {"first": first, "states": middle, "ids": ids, "side": side, "spoken": offsets[:, 0] < offsets[:, 1]}
    return {name: values[None] for name, values in tokens.items()}


@cache
def graph() -> Any:
    """Load the weights, in eight bits on disk, as a graph in float32."""
    with as_file(files("kowai.extraction").joinpath("pair_reader.onnx")) as path:
        return open_graph(path)
