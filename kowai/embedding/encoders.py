"""Encoders run by ONNX Runtime: one built here from weights, or one that came ready as a graph."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from kowai.embedding.checkpoint import Checkpoint
from kowai.embedding.graph_cache import cached_graph
from kowai.errors import Misconfigured

Ids = NDArray[np.int64]
Vector = NDArray[np.float32]
Encoder = Callable[[Ids], Vector]

FEW_DISTINCT = 48  # over fewer different tokens the errors of eight bits do not average out
LEAST_COSINE = 0.999
# Processors without VNNI add pairs of products in 16 bits, which overflow unless both factors are unsigned.
OPTIONS: tuple[Mapping[str, str], ...] = ({}, {"session.x64quantprecision": "1"})


def open_encoder(checkpoint: Checkpoint, cache: Path, sample: Ids) -> Encoder:
    """Return what turns the token ids of one text into a unit vector; it is tried on `sample` first."""
    if checkpoint.exported is None:
        return _most_trusted(cached_graph(checkpoint, cache), sample)
    try:
        encoder = ReadyEncoder(_session(checkpoint.exported), checkpoint.pooling)
        length = len(encoder(sample))
    except Exception as error:
        raise Misconfigured(f"{checkpoint.exported} cannot be run.", operator=str(error)) from error
    if length != checkpoint.dimensions:
        raise Misconfigured(f"{checkpoint.exported} has {length} dimensions; config.json says {checkpoint.dimensions}.")
    return encoder


def _most_trusted(graph: Path, sample: Ids) -> "BuiltEncoder":
    for options in OPTIONS:
        encoder = BuiltEncoder(_session(graph, options))
        if encoder.agreement(sample) >= LEAST_COSINE:
            return encoder
    encoder.trusted = False
    return encoder


class BuiltEncoder:
    """Run a graph with two branches: float32 for short and for repetitive texts, mostly eight bits for all others."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.trusted = True

    def __call__(self, ids: Ids) -> Vector:
        return self.encode(ids, exact=not self.trusted or len(np.unique(ids)) < FEW_DISTINCT)

    def encode(self, ids: Ids, *, exact: bool) -> Vector:
        return self._session.run(None, {"ids": ids[None], "exact": np.array(exact)})[0][0]

    def agreement(self, sample: Ids) -> float:
        """Return the cosine between the two branches' vectors, on this machine."""
        return float(self.encode(sample, exact=True) @ self.encode(sample, exact=False))


class ReadyEncoder:
    """Run a graph as Hugging Face's tools export it: token states or one pooled vector come out."""

    def __init__(self, session: Any, pooling: str) -> None:
        self._session = session
        self._pooling = pooling
        outputs = [node.name for node in session.get_outputs()]
        self._output = "sentence_embedding" if "sentence_embedding" in outputs else outputs[0]
        self._inputs = [node.name for node in session.get_inputs()]

    def __call__(self, ids: Ids) -> Vector:
        row = ids[None]
        feeds = {"input_ids": row, "attention_mask": np.ones_like(row), "token_type_ids": np.zeros_like(row)}
        output = self._session.run([self._output], {name: feeds[name] for name in self._inputs})[0][0]
        if output.ndim == 2:
            output = output[0] if self._pooling == "cls" else output.mean(axis=0)
        return (output / np.linalg.norm(output)).astype(np.float32)


def _session(graph: Path, options: Mapping[str, str] = OPTIONS[0]) -> Any:
    """Load a graph to run on the calling thread: several threads then share its weights and never wait for each other."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.log_severity_level = 3
    for key, value in options.items():
        settings.add_session_config_entry(key, value)
    return onnxruntime.InferenceSession(graph, settings, providers=["CPUExecutionProvider"])
