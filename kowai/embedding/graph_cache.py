"""Built graphs on disk: the file's name says what it was built from and what it must contain."""

import os
import tempfile
from hashlib import file_digest, sha256
from pathlib import Path

from kowai.embedding.checkpoint import Checkpoint
from kowai.embedding.tensors import read_tensors
from kowai.errors import Misconfigured

BUILDER_VERSION = 1
DIGITS = 16


def cached_graph(checkpoint: Checkpoint, folder: Path) -> Path:
    """Return the file of the model's graph; it is built when there is none, or none that is whole."""
    origin = sha256(f"{checkpoint.fingerprint} {BUILDER_VERSION}".encode()).hexdigest()[:DIGITS]
    try:
        for path in folder.glob(f"{origin}-*.onnx"):
            if _is_whole(path):
                return path
            path.unlink(missing_ok=True)
        content = _build(checkpoint)
        path = folder / f"{origin}-{sha256(content).hexdigest()[:DIGITS]}.onnx"
        _write_whole(path, content)
    except OSError as error:
        raise Misconfigured(f"The embedding model cannot be kept in {folder}: {error.strerror}.") from error
    return path


def _is_whole(path: Path) -> bool:
    with path.open("rb") as file:
        return path.stem.endswith("-" + file_digest(file, "sha256").hexdigest()[:DIGITS])


def _build(checkpoint: Checkpoint) -> bytes:
    from kowai.embedding.bert import build_bert  # the onnx package takes longer to import than a cached graph to load

    bert, tensors = checkpoint.bert, read_tensors(checkpoint.weights, checkpoint.digest)
    try:
        return build_bert(bert, tensors, checkpoint.pooling).SerializeToString()
    except (KeyError, ValueError) as error:
        sentence = f"{checkpoint.folder} cannot be built: put a model.onnx, exported by other tools, beside its weights."
        raise Misconfigured(sentence, operator=repr(error)) from error


def _write_whole(path: Path, content: bytes) -> None:
    """Write beside the target and rename, so that a crash never leaves half a file under the name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(partial, path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
