"""Built graphs on disk: a folder's name says what it was built from and what it must contain."""

import shutil
from hashlib import file_digest, sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from kowai.embedding.checkpoint import Checkpoint
from kowai.embedding.tensors import read_tensors
from kowai.errors import Misconfigured

BUILDER_VERSION = 5  # counts up whenever the graph changes
GRAPH, WEIGHTS = "graph.onnx", "weights"  # apart, so that weights are mapped into memory and shared by processes
DIGITS = 16


def cached_graph(checkpoint: Checkpoint, cache: Path) -> Path:
    """Return the file of the model's graph; it is built when there is none, or none that is whole."""
    origin = sha256(f"{checkpoint.fingerprint} {BUILDER_VERSION}".encode()).hexdigest()[:DIGITS]
    try:
        for folder in cache.glob(f"{origin}-*"):
            if folder.name == f"{origin}-{_digest(folder)}":
                return folder / GRAPH
            shutil.rmtree(folder)
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".", dir=cache) as draft:
            _build(checkpoint, Path(draft))
            return _publish(Path(draft), cache / f"{origin}-{_digest(Path(draft))}") / GRAPH
    except OSError as error:
        raise Misconfigured(f"The embedding model cannot be kept in {cache}: {error.strerror}.") from error


def _digest(folder: Path) -> str:
    digest = sha256()
    for path in (folder / GRAPH, folder / WEIGHTS):
        if path.is_file():
            with path.open("rb") as file:
                digest.update(file_digest(file, "sha256").digest())
    return digest.hexdigest()[:DIGITS]


def _build(checkpoint: Checkpoint, folder: Path) -> None:
    import onnx  # it takes longer to import than a cached graph to load

    from kowai.embedding.bert import build_bert

    bert, tensors = checkpoint.bert, read_tensors(checkpoint.weights, checkpoint.digest)
    try:
        model = build_bert(bert, tensors, checkpoint.pooling)
    except (KeyError, ValueError) as error:
        sentence = f"{checkpoint.weights} does not fit config.json: export a model.onnx instead."
        raise Misconfigured(sentence, operator=repr(error)) from error
    onnx.save(model, folder / GRAPH, save_as_external_data=True, location=WEIGHTS)


def _publish(draft: Path, folder: Path) -> Path:
    """Give the draft its name in one step, unless another process was faster with the same."""
    try:
        return draft.rename(folder)
    except OSError:
        if folder.is_dir():
            return folder
        raise
