"""The encoder gives the reference model's vectors, from a graph that it builds and keeps."""

import json
from pathlib import Path

import numpy as np
import pytest

from kowai.embedding.checkpoint import bundled, read_checkpoint
from kowai.embedding.encoder import TextEncoder
from kowai.errors import Misconfigured

# Made once with sentence-transformers 5 and torch 2.13 from the same weights.
REFERENCE = json.loads((Path(__file__).parent.parent / "data" / "minilm_reference.json").read_text())


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def encoder(cache: Path) -> TextEncoder:
    return TextEncoder(bundled(), cache)


def test_every_vector_agrees_with_the_reference_model(encoder: TextEncoder) -> None:
    vectors = encoder.embed([case["text"] for case in REFERENCE])
    cosines = [float(vector @ case["vector"]) for vector, case in zip(vectors, REFERENCE, strict=True)]
    assert len(cosines) >= 60
    assert min(cosines) >= 0.999


def test_vectors_have_unit_length_and_the_order_of_the_texts(encoder: TextEncoder) -> None:
    texts = ["a cat", "a much longer sentence about something else entirely", "a dog"]
    vectors = encoder.embed(texts)
    assert vectors.shape == (3, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.allclose(vectors, [encoder.embed([text])[0] for text in texts], atol=1e-6)


def test_no_text_is_no_row(encoder: TextEncoder) -> None:
    assert encoder.embed([]).shape == (0, 384)


def test_a_text_is_cut_after_256_tokens(encoder: TextEncoder) -> None:
    assert encoder.count_tokens(["word " * 1000, "word"]) == [256, 3]


def test_a_damaged_graph_in_the_cache_is_built_again(cache: Path, encoder: TextEncoder) -> None:
    (graph,) = cache.glob("*.onnx")
    whole = graph.read_bytes()
    graph.write_bytes(whole[: len(whole) // 2])
    assert TextEncoder(bundled(), cache).embed(["a cat"]).shape == (1, 384)
    assert graph.read_bytes() == whole


def test_a_folder_without_a_model_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"config\.json and tokenizer\.json missing"):
        read_checkpoint(tmp_path)


def test_other_weights_than_the_published_ones_are_refused(cache: Path, tmp_path: Path) -> None:
    forged = bundled()._replace(digest="0" * 64)
    with pytest.raises(Misconfigured, match="not the file that was published"):
        TextEncoder(forged, tmp_path)
