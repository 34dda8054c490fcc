"""A BERT sentence encoder as an ONNX graph: the token ids of one text in, its unit vector and token states out.

One text a run needs no padding and no mask, its activations stay in the processor's cache, and its vector does not
depend on the texts beside it.
"""

from collections.abc import Callable

import numpy as np
from onnx import GraphProto, ModelProto, TensorProto

from kowai.embedding.checkpoint import Bert
from kowai.embedding.graph import Graph, Inputs
from kowai.embedding.layer import APART, Layer
from kowai.embedding.tensors import Tensors, within


def build_bert(bert: Bert, tensors: Tensors, pooling: str) -> ModelProto:
    """Return the model with the inputs `ids` and `places` (1, tokens), `exact`, and `apart` (1, 1, tokens, tokens).

    `exact` chooses float32 instead of eight bits, and only then is `apart` added to the scores of attention: texts that
    stand one after the other stay strangers. The outputs are the vector of one text and the tokens' states before the
    first layer, after the middle one and after the last.
    """
    graph = Graph()
    embedded = _embed(graph, bert, tensors)
    exact = _branch("exact/", bert, tensors, embedded, Layer.exact)
    fast = _branch("fast/", bert, tensors, embedded, Layer.fast)
    middle, encoded = graph.choose("exact", exact, fast)
    vector = graph.add("LpNormalization", _pool(graph, encoded, pooling), p=2, axis=-1)
    tokens: list[str | int] = [1, "tokens"]
    inputs: Inputs = {"ids": (TensorProto.INT64, tokens), "places": (TensorProto.INT64, tokens)}
    inputs |= {"exact": (TensorProto.BOOL, []), APART: (TensorProto.FLOAT, [1, *tokens, "tokens"])}
    return graph.as_model(inputs, vector, embedded, middle, encoded)


def _embed(graph: Graph, bert: Bert, tensors: Tensors) -> str:
    words = graph.add("Gather", graph.constant(tensors["embeddings.word_embeddings.weight"]), "ids")
    places = tensors["embeddings.position_embeddings.weight"] + tensors["embeddings.token_type_embeddings.weight"][0]
    summed = graph.add("Add", words, graph.add("Gather", graph.constant(places), "places"))
    return Layer(graph, bert, tensors).norm(summed, "embeddings.LayerNorm")


def _branch(prefix: str, bert: Bert, tensors: Tensors, hidden: str, step: Callable[[Layer, str], str]) -> GraphProto:
    graph, states = Graph(prefix), [hidden]
    for index in range(bert.num_hidden_layers):
        states.append(step(Layer(graph, bert, within(tensors, f"encoder.layer.{index}.")), states[-1]))
    return graph.as_branch(states[-(-bert.num_hidden_layers // 2)], states[-1])


def _pool(graph: Graph, encoded: str, pooling: str) -> str:
    if pooling == "cls":
        return graph.add("Gather", encoded, graph.constant(np.array(0)), axis=1)
    return graph.add("ReduceMean", encoded, graph.constant([1]), keepdims=0)
