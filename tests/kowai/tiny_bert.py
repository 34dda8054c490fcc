"""A random BERT of two layers in Hugging Face layout, and what plain numpy makes of it."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kowai.embedding.checkpoint import bundled

WIDTH, INNER, LAYERS, HEADS, WORDS, PLACES = 32, 64, 2, 4, 30522, 64
Weights = dict[str, NDArray[np.float32]]

erf = np.vectorize(math.erf)


def random_weights(seed: int = 0) -> Weights:
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (WORDS, WIDTH),
        "embeddings.position_embeddings.weight": (PLACES, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
        "embeddings.LayerNorm.weight": (WIDTH,),
    }
    for index in range(LAYERS):
        at = f"encoder.layer.{index}."
        shapes |= {f"{at}attention.self.{name}.weight": (WIDTH, WIDTH) for name in ("query", "key", "value")}
        shapes |= {
            f"{at}attention.output.dense.weight": (WIDTH, WIDTH),
            f"{at}intermediate.dense.weight": (INNER, WIDTH),
        }
        shapes |= {f"{at}output.dense.weight": (WIDTH, INNER)}
        shapes |= {f"{at}{name}.LayerNorm.weight": (WIDTH,) for name in ("attention.output", "output")}
    random = np.random.default_rng(seed)
    weights: Weights = {name: random.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}
    biases = {name.replace("weight", "bias"): shape[0] for name, shape in shapes.items() if "_embeddings" not in name}
    return weights | {name: random.normal(0, 0.5, size).astype(np.float32) for name, size in biases.items()}


def write_safetensors(path: Path, tensors: dict[str, NDArray[Any]], kinds: dict[str, str] | None = None) -> None:
    """Write `tensors`; `kinds` names element types that numpy has no name for."""
    names = {"float32": "F32", "float16": "F16", "int64": "I64"}
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    start = 0
    for name, tensor in tensors.items():
        kind = (kinds or {}).get(name) or names[tensor.dtype.name]
        header[name] = {"dtype": kind, "shape": tensor.shape, "data_offsets": [start, start + tensor.nbytes]}
        start += tensor.nbytes
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(value.tobytes() for value in tensors.values()))


def write_model(folder: Path, weights: Weights, *, pooling: str = "mean") -> Path:
    config = {"model_type": "bert", "hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS}
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": PLACES}))
    (folder / "tokenizer.json").symlink_to(bundled().tokenizer)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({f"pooling_mode_{pooling}_token": True}))
    write_safetensors(folder / "model.safetensors", dict(weights))
    return folder


def states(weights: Weights, ids: list[int]) -> NDArray[np.float32]:
    """Compute the last layer's states, shape (tokens, WIDTH)."""
    w = weights
    placed = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][: len(ids)]
    x = _norm(w, "embeddings.LayerNorm", placed + w["embeddings.token_type_embeddings.weight"][0])
    for index in range(LAYERS):
        at = f"encoder.layer.{index}."
        q, k, v = (
            _dense(w, f"{at}attention.self.{name}", x).reshape(len(ids), HEADS, -1)
            for name in ("query", "key", "value")
        )
        scores = np.exp(np.einsum("ihd,jhd->hij", q, k) / np.sqrt(q.shape[2]))
        mixed = np.einsum("hij,jhd->ihd", scores / scores.sum(axis=2, keepdims=True), v).reshape(x.shape)
        x = _norm(w, f"{at}attention.output.LayerNorm", x + _dense(w, f"{at}attention.output.dense", mixed))
        inner = _dense(w, f"{at}intermediate.dense", x)
        inner = inner * (1 + erf(inner / math.sqrt(2))) / 2
        x = _norm(w, f"{at}output.LayerNorm", x + _dense(w, f"{at}output.dense", inner))
    return x


def _dense(weights: Weights, name: str, x: NDArray[Any]) -> NDArray[Any]:
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def _norm(weights: Weights, name: str, x: NDArray[Any]) -> NDArray[Any]:
    centred = x - x.mean(axis=1, keepdims=True)
    return centred / centred.std(axis=1, keepdims=True) * weights[f"{name}.weight"] + weights[f"{name}.bias"]
