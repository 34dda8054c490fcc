"""Graphs run by ONNX Runtime, one text at a time: those built here, and those that came ready."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from kowai.embedding.checkpoint import Checkpoint
from kowai.embedding.graph_cache import cached_graph
from kowai.errors import Misconfigured

Ids = NDArray[np.int64]
Vector = NDArray[np.float32]
States = NDArray[np.float32]
Encode = Callable[[Ids], Vector]

FEW_DISTINCT = 48  # over fewer different tokens the errors of eight bits do not average out
LEAST_COSINE = 0.999
# Added to the score of a token of another text: its weight, some 1e-26, is lost in rounding, but stays large enough to
# be computed at full speed, as numbers below 1e-38 are not.
UNSEEN = np.float32(-60)
SLOWER_FUSED = ["SkipLayerNormFusion"]  # its kernel takes five times as long as the sum and the norm that it replaces
# Processors without VNNI add pairs of products in 16 bits, which overflow unless both factors are unsigned.
UNSIGNED = {"session.x64quantprecision": "1"}


def open_session(checkpoint: Checkpoint, cache: Path, sample: Ids) -> Encode:
    """Return what turns the token ids of one text into a unit vector; it is tried on `sample` first."""
    if checkpoint.exported is None:
        return _most_trusted(cached_graph(checkpoint, cache), checkpoint.pooling, sample)
    try:
        encode = ExportedGraph(open_graph(checkpoint.exported), checkpoint.pooling)
        length = len(encode(sample))
    except Exception as error:  # ONNX Runtime raises a dozen kinds of its own
        raise Misconfigured(f"{checkpoint.exported} cannot be run.", operator=str(error)[:500]) from error
    if length != checkpoint.dimensions:
        raise Misconfigured(f"{checkpoint.exported} has {length} dimensions; config.json says {checkpoint.dimensions}.")
    return encode


def _most_trusted(path: Path, pooling: str, sample: Ids) -> "BuiltGraph":
    graph = BuiltGraph(open_graph(path), pooling)
    if graph.agreement(sample) < LEAST_COSINE:
        graph = BuiltGraph(open_graph(path, UNSIGNED), pooling)
        graph.trusted = graph.agreement(sample) >= LEAST_COSINE
    return graph


class BuiltGraph:
    """Compute short and repetitive texts in float32, all others mostly in eight bits."""

    def __init__(self, session: Any, pooling: str) -> None:
        self._session = session
        self._pooling = pooling
        self.trusted = True

    def __call__(self, ids: Ids) -> Vector:
        return self.run(ids, exact=self._is_delicate(ids))

    def states(self, texts: Sequence[Ids]) -> list[tuple[Vector, States]]:
        """Return vectors with the tokens' states before the first layer, after the middle one and after the last.

        Those of one text have the shape (3, tokens, width). All texts in float32 are computed by one run, which reads
        the weights once.
        """
        delicate = [self._is_delicate(ids) for ids in texts]
        together = iter(self._states([ids for ids, exact in zip(texts, delicate, strict=True) if exact], exact=True))
        alone = ([ids] for ids, exact in zip(texts, delicate, strict=True) if not exact)
        return [next(together) if exact else self._states(next(alone), exact=False)[0] for exact in delicate]

    def _states(self, texts: Sequence[Ids], *, exact: bool) -> list[tuple[Vector, States]]:
        if not texts:
            return []
        _, *states = self._session.run(None, _given(texts, exact=exact))
        ends = np.cumsum([len(ids) for ids in texts])[:-1]
        each = np.split(np.concatenate(states), ends, axis=1)
        return [(_pooled(states[-1], self._pooling), states) for states in each]

    def run(self, ids: Ids, *, exact: bool) -> Vector:
        return self._session.run(None, _given([ids], exact=exact))[0][0]

    def _is_delicate(self, ids: Ids) -> bool:
        return not self.trusted or len(set(ids.tolist())) < FEW_DISTINCT

    def agreement(self, sample: Ids) -> float:
        """Return the cosine between what this machine makes of `sample` in float32 and in eight bits."""
        return float(self.run(sample, exact=True) @ self.run(sample, exact=False))


class ExportedGraph:
    """Run a graph as Hugging Face's tools export it: token states or one pooled vector come out."""

    def __init__(self, session: Any, pooling: str) -> None:
        self._session = session
        self._pooling = pooling
        outputs = [node.name for node in session.get_outputs()]
        self._output = "sentence_embedding" if "sentence_embedding" in outputs else outputs[0]
        self._inputs = [node.name for node in session.get_inputs()]

    def __call__(self, ids: Ids) -> Vector:
        row = ids[None]
        given = {"input_ids": row, "attention_mask": np.ones_like(row), "token_type_ids": np.zeros_like(row)}
        output = self._session.run([self._output], {name: given[name] for name in self._inputs})[0][0]
        return _pooled(output, self._pooling) if output.ndim == 2 else _unit(output)


def _given(texts: Sequence[Ids], *, exact: bool) -> dict[str, Any]:
    """Return what the graph takes: texts one after the other, each with places of its own and blind to the others."""
    lengths = [len(ids) for ids in texts]
    own = np.repeat(np.arange(len(texts)), lengths)
    apart = np.where(own[:, None] == own, np.float32(0), UNSEEN)[None, None]
    places = np.concatenate([np.arange(length) for length in lengths])
    return {"ids": np.concatenate(texts)[None], "places": places[None], "exact": np.array(exact), "apart": apart}


def _pooled(states: States, pooling: str) -> Vector:
    return _unit(states[0] if pooling == "cls" else states.mean(axis=0))


def _unit(vector: NDArray[Any]) -> Vector:
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def open_graph(path: Path, options: Mapping[str, str] | None = None) -> Any:
    """Load a graph that runs on the calling thread: any number of threads share it and none waits for another."""
    import onnxruntime  # it starts a thread, which a process that is to be forked must not have

    settings = cast("Any", onnxruntime.SessionOptions())
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    for key, value in (options or {}).items():
        settings.add_session_config_entry(key, value)
    return onnxruntime.InferenceSession(
        path, settings, providers=["CPUExecutionProvider"], disabled_optimizers=SLOWER_FUSED
    )
