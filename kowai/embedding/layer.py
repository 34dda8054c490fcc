"""One layer of BERT, exactly in float32 or about twice as fast in eight bits.

Eight bits per number keep the vectors of long texts within a cosine of 0.999 because

* errors of values and keys are common to many tokens and do not average out: both stay float32;
* a LayerNorm's scale goes into the weights behind it, which tames the channels that stand out;
* among the hidden units with the largest output weights are those that fire ten times as strongly as the rest, at
  [CLS] and [SEP]: they stay float32, and in the feed-forward half each token has a scale of its own.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kowai.embedding.checkpoint import Bert
from kowai.embedding.graph import FUSED, Graph
from kowai.embedding.tensors import Tensors

LOUD_SHARE = 8  # one unit in eight
DEEPEST_GELU = 0.17  # gelu stays above -0.17, so a row divided by its maximum, or by this, stays within [-1, 1]
TINY = 1e-9
APART = "apart"

Matrix = NDArray[np.floating[Any]]


class Layer:
    """Append the operators of a layer with the given `weights` to `graph`."""

    def __init__(self, graph: Graph, bert: Bert, weights: Tensors) -> None:
        self.graph = graph
        self.bert = bert
        self.weights = weights

    def exact(self, hidden: str) -> str:
        query, key, value = (self.dense(hidden, f"attention.self.{name}") for name in ("query", "key", "value"))
        mixed = self.dense(self.attend(query, key, value, APART), "attention.output.dense")
        hidden = self.norm(self.graph.add("Add", hidden, mixed), "attention.output.LayerNorm")
        inner = self.graph.add("Gelu", self.dense(hidden, "intermediate.dense"), domain=FUSED)
        fed = self.dense(inner, "output.dense")
        return self.norm(self.graph.add("Add", hidden, fed), "output.LayerNorm")

    def fast(self, hidden: str) -> str:
        query = self.int8(hidden, *self.pair("attention.self.query"))
        key, value = self.dense(hidden, "attention.self.key"), self.dense(hidden, "attention.self.value")
        attended = self.attend(query, key, value)
        mixed = self.int8(attended, *self.pair("attention.output.dense"))
        summed = self.graph.add("Add", hidden, mixed)
        return self.norm(self.feed(summed, "attention.output.LayerNorm"), "output.LayerNorm")

    def feed(self, summed: str, norm: str) -> str:
        """Return the normalised input plus the feed-forward half, most of whose units are computed in eight bits."""
        scale, shift = self.pair(norm)
        inward, inward_bias = self.pair("intermediate.dense")
        outward, outward_bias = self.pair("output.dense")
        plain = self.standardise(summed, np.ones_like(scale), np.zeros_like(shift))
        bias = inward_bias + inward @ shift
        order = np.argsort(-np.abs(outward).max(axis=0))
        loud, quiet = np.split(order, [len(order) // LOUD_SHARE])
        total = self.graph.add("Add", self.norm(summed, norm), self.graph.constant(outward_bias))
        inner = self.gelu(self.multiply(plain, inward[loud] * scale), bias[loud])
        total = self.graph.add("Add", total, self.multiply(inner, outward[:, loud]))
        size = self.graph.add("Abs", plain)
        inner = self.gelu(self.int8_rows(plain, size, inward[quiet] * scale, TINY), bias[quiet])
        return self.graph.add("Add", total, self.int8_rows(inner, inner, outward[:, quiet], DEEPEST_GELU))

    def attend(self, query: str, key: str, value: str, *bias: str) -> str:
        heads, unused = self.bert.num_attention_heads, ("", "") if bias else ()
        return self.graph.add("MultiHeadAttention", query, key, value, *unused, *bias, domain=FUSED, num_heads=heads)

    def gelu(self, hidden: str, bias: Matrix) -> str:
        return self.graph.add("BiasGelu", hidden, self.graph.constant(bias), domain=FUSED)

    def norm(self, hidden: str, name: str) -> str:
        return self.standardise(hidden, *self.pair(name))

    def standardise(self, hidden: str, scale: Matrix, shift: Matrix) -> str:
        constants = self.graph.constant(scale), self.graph.constant(shift)
        return self.graph.add("LayerNormalization", hidden, *constants, axis=-1, epsilon=self.bert.layer_norm_eps)

    def dense(self, hidden: str, name: str) -> str:
        weight, bias = self.pair(name)
        return self.graph.add("Add", self.multiply(hidden, weight), self.graph.constant(bias))

    def multiply(self, hidden: str, weight: Matrix) -> str:
        return self.graph.add("MatMul", hidden, self.graph.constant(weight.T))

    def int8(self, hidden: str, weight: Matrix, bias: Matrix | None = None) -> str:
        """Multiply in eight bits, with one scale for all of `hidden` and one for each row of `weight`."""
        scale = np.maximum(np.abs(weight).max(axis=1), TINY) / 127
        rounded = np.asarray(np.round(weight / scale[:, None]), np.int8)
        constants = [rounded.T, scale, np.zeros(len(scale), np.int8), *([] if bias is None else [bias])]
        names = [self.graph.constant(values) for values in constants]
        return self.graph.add("DynamicQuantizeMatMul", hidden, *names, domain=FUSED)

    def int8_rows(self, hidden: str, size: str, weight: Matrix, smallest: float) -> str:
        """Multiply in eight bits, with a scale for each token: the maximum of its `size`, or at least `smallest`."""
        largest = self.graph.add("ReduceMax", size, self.graph.constant([2]))
        scale = self.graph.add("Max", largest, self.graph.constant(np.array(smallest, np.float32)))
        return self.graph.add("Mul", self.int8(self.graph.add("Div", hidden, scale), weight), scale)

    def pair(self, name: str) -> tuple[Matrix, Matrix]:
        return self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
