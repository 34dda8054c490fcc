"""The trained pair reader as an ONNX graph: eight bits a weight in the file, float32 when it is loaded."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto
from reader_network import HEADS, INNER, WIDTH

from kowai.embedding.checkpoint import Bert
from kowai.embedding.graph import Graph, Inputs
from kowai.embedding.layer import TINY, Layer, Matrix
from kowai.embedding.tensors import Tensors
from kowai.extraction.alignment import centre

BERT = Bert(model_type="bert", hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=HEADS)
TOKENS: list[str | int] = [1, "tokens"]
INPUTS: Inputs = {
    "first": (TensorProto.FLOAT, [*TOKENS, WIDTH]),
    "states": (TensorProto.FLOAT, [*TOKENS, WIDTH]),
    "ids": (TensorProto.INT64, TOKENS),
    "side": (TensorProto.INT64, TOKENS),
    "spoken": (TensorProto.BOOL, TOKENS),
}
LIKE_BEFORE, LIKE_AFTER = 12.0, 6.0  # how sharply a token looks for one like it, by its states of either depth
STRANGE, UNSEEN = -1.0, -1e4


class SmallLayer(Layer):
    """A layer whose matrices are kept in eight bits, one scale a row, and whose tokens all see each other."""

    def attend(self, query: str, key: str, value: str, *bias: str) -> str:
        return super().attend(query, key, value)

    def multiply(self, hidden: str, weight: Matrix) -> str:
        scale = np.maximum(np.abs(weight).max(axis=1), TINY) / 127
        rounded = self.graph.constant(np.asarray(np.round(weight / scale[:, None]), np.int8).T)
        wide = self.graph.add("Cast", rounded, to=TensorProto.FLOAT)
        whole = self.graph.add("Mul", wide, self.graph.constant(np.asarray(scale, np.float32)))
        return self.graph.add("MatMul", hidden, whole)


def meeting() -> bytes:
    """Return the graph without weights, whose outputs a network is trained on: `partners` and `known`."""
    graph = Graph()
    return graph.as_model(INPUTS, *meet(graph)).SerializeToString()


def meet(graph: Graph) -> tuple[str, str]:
    """Find each token's partners in the other text; say how near the nearest is, whether it is the same, and so on."""

    def number(value: float) -> str:
        return graph.constant(np.array(value, np.float32))

    def pairs(kind: str, name: str) -> str:
        down, along = (graph.add("Unsqueeze", name, graph.constant([axis])) for axis in (2, 1))
        return graph.add(kind, down, along)

    def most(values: str) -> str:
        return graph.add("ReduceMax", values, graph.constant([2]))

    def likeness(states: str, mean: Matrix) -> str:
        unit = graph.add("LpNormalization", graph.add("Sub", states, graph.constant(mean)), p=2, axis=-1)
        near = graph.add("MatMul", unit, graph.add("Transpose", unit, perm=[0, 2, 1]))
        return graph.add("Where", across, near, number(STRANGE))

    heard = graph.add("Unsqueeze", "spoken", graph.constant([1]))
    across = graph.add("And", graph.add("Not", pairs("Equal", "side")), heard)
    before, after = likeness("first", centre()[0]), likeness("states", centre()[1])
    look = (graph.add("Mul", each, number(by)) for each, by in ((before, LIKE_BEFORE), (after, LIKE_AFTER)))
    look = graph.add("Softmax", graph.add("Where", across, graph.add("Add", *look), number(UNSEEN)), axis=-1)
    second = graph.add("Cast", graph.add("Unsqueeze", "side", graph.constant([2])), to=TensorProto.FLOAT)
    silent = graph.add("Not", graph.add("Unsqueeze", "spoken", graph.constant([2])))
    equal = graph.add("Cast", graph.add("And", pairs("Equal", "ids"), across), to=TensorProto.FLOAT)
    near, same = most(before), most(equal)
    known = [near, most(after), same, graph.add("Cast", silent, to=TensorProto.FLOAT)]
    known += [graph.add("Mul", each, second) for each in (same, near)]
    return graph.add("MatMul", look, "states"), graph.add("Concat", *known, axis=-1)


def write_graph(layers: Sequence[Tensors], rest: Mapping[str, Any], path: Path) -> None:
    """Write the network's weights; `rest` are those outside its layers, as Network names them."""
    assert all(held["intermediate.dense.weight"].shape == (INNER, WIDTH) for held in layers)
    graph = Graph()
    partners, known = meet(graph)
    outside = {f"{name}.bias": np.zeros(1, np.float32) for name in ("mix",)} | dict(rest)
    head = SmallLayer(graph, BERT, outside)
    apart = graph.add("Sub", partners, "states")
    both = graph.add("Concat", apart, graph.add("Mul", partners, "states"), axis=-1)
    parts = [head.dense(both, "mix"), head.dense(known, "known")]
    parts.append(graph.add("Gather", graph.constant(rest["sides"]), "side"))
    hidden = "states"
    for part in parts:
        hidden = graph.add("Add", hidden, part)
    for held in layers:
        hidden = SmallLayer(graph, BERT, held).exact(hidden)
    onnx.save(graph.as_model(INPUTS, head.dense(hidden, "score")), path)
