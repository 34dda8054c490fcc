"""The pieces of an ONNX graph: named nodes and constants, and how they become a model."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

FUSED = "com.microsoft"
OPSETS = {"": 20, FUSED: 1}
IR_VERSION = 10

Inputs = dict[str, tuple[int, list[str | int]]]


class Graph:
    """Collect operators; `prefix` keeps the names of nested graphs apart."""

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, values: NDArray[Any] | Sequence[int]) -> str:
        name = f"{self.prefix}constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def add(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Apply one operator and return the name of its output."""
        name = f"{self.prefix}{kind}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name, domain=domain, **attributes))
        return name

    def choose(self, condition: str, then: GraphProto, otherwise: GraphProto) -> list[str]:
        """Run one of two graphs of as many outputs, and return their names here."""
        names = [f"{self.prefix}If{len(self.nodes)}/{place}" for place in range(len(then.output))]
        node = helper.make_node("If", [condition], names, names[0], then_branch=then, else_branch=otherwise)
        self.nodes.append(node)
        return names

    def as_branch(self, *outputs: str) -> GraphProto:
        """Return a graph that an If node runs; it sees the names of the graph around it."""
        values = [helper.make_tensor_value_info(output, TensorProto.FLOAT, None) for output in outputs]
        return helper.make_graph(self.nodes, outputs[-1], [], values, self.constants)

    def as_model(self, inputs: Inputs, *outputs: str) -> ModelProto:
        """Return the whole model; `inputs` maps names to element types and shapes."""
        values = [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()]
        results = [helper.make_tensor_value_info(output, TensorProto.FLOAT, None) for output in outputs]
        graph = helper.make_graph(self.nodes, "encoder", values, results, self.constants)
        opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
