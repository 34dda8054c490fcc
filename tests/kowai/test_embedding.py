"""The encoder gives the reference model's vectors, from a graph that it builds and keeps."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto

from kowai.embedding import sessions
from kowai.embedding.checkpoint import bundled, read_checkpoint
from kowai.embedding.encoder import FEW_TEXTS, MOST_WINDOWS, TextEncoder, windows
from kowai.embedding.graph import Graph
from kowai.embedding.graph_cache import GRAPH, WEIGHTS
from kowai.embedding.tensors import read_tensors
from kowai.errors import Misconfigured
from tests.kowai.tiny_bert import Weights, random_weights, states, write_model, write_safetensors

# Made once with sentence-transformers 6.2 and torch 2.13 from the same weights.
REFERENCE = json.loads((Path(__file__).parent.parent / "data" / "minilm_reference.json").read_text())
LONG = max((case["text"] for case in REFERENCE), key=lambda text: len(set(text.split())))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    return TextEncoder(bundled(), tmp_path_factory.mktemp("models"), threads=2)


@pytest.fixture(scope="module")
def weights() -> Weights:
    return random_weights()


@pytest.fixture
def tiny(tmp_path: Path, weights: Weights) -> Path:
    return write_model(tmp_path / "tiny", weights)


def test_the_vector_of_every_text_that_fits_is_the_reference_models(encoder: TextEncoder) -> None:
    tokens = encoder.count_tokens([case["text"] for case in REFERENCE])
    whole = [case for case, count in zip(REFERENCE, tokens, strict=True) if count <= encoder.max_tokens]
    vectors = encoder.embed([case["text"] for case in whole])
    cosines = [float(vector @ case["vector"]) for vector, case in zip(vectors, whole, strict=True)]
    assert len(cosines) >= 59
    assert min(cosines) >= 0.999


def test_vectors_have_unit_length_and_the_order_of_the_texts(encoder: TextEncoder) -> None:
    texts = [f"{word} {'and so on ' * (number % 7)}" for number, word in enumerate(["cat", "dog", "sun", "oil"] * 5)]
    vectors = encoder.embed(texts)
    assert vectors.shape == (20, 384)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.array_equal(vectors, np.concatenate([encoder.embed([text]) for text in texts]))


def test_a_text_has_one_vector_whatever_comes_with_it_and_whoever_asks(encoder: TextEncoder) -> None:
    alone = encoder.embed([LONG])[0]
    companies = [[LONG] + ["short"] * number for number in (0, 1, 2 * FEW_TEXTS) * 3]
    with ThreadPoolExecutor(8) as callers:
        assert all(np.array_equal(vectors[0], alone) for vectors in callers.map(encoder.embed, companies))


def test_no_text_is_no_row(encoder: TextEncoder) -> None:
    assert encoder.embed([]).shape == (0, 384)


def test_the_end_of_a_long_text_counts_as_much_as_its_beginning(encoder: TextEncoder) -> None:
    assert encoder.max_tokens == 256
    glaciers, recipes = "glacier ice mountain " * 84, "butter flour oven cake " * 63  # 252 tokens each
    long, other, *halves = encoder.embed([glaciers + recipes, recipes + glaciers, glaciers, recipes])
    mean = (halves[0] + halves[1]) / np.linalg.norm(halves[0] + halves[1])
    assert long @ mean == pytest.approx(1, abs=1e-5)
    assert other @ mean == pytest.approx(1, abs=1e-5)


@given(st.integers(1, 900), st.integers(31, 300))
def test_windows_hold_every_token_once_in_order_between_the_special_ones(length: int, size: int) -> None:
    pieces = windows(np.arange(length + 2), size)
    assert np.concatenate([piece[1:-1] for piece in pieces]).tolist() == list(range(1, length + 1))
    assert all(piece[0] == 0 and piece[-1] == length + 1 and len(piece) <= size for piece in pieces)
    assert max(map(len, pieces)) - min(map(len, pieces)) <= 1


def test_of_a_whole_book_only_the_beginning_is_read(encoder: TextEncoder) -> None:
    assert len(windows(encoder._ids("word " * 100_000), encoder.max_tokens)) == MOST_WINDOWS


def test_all_tokens_of_a_text_are_counted(encoder: TextEncoder) -> None:
    assert encoder.count_tokens(["", "word", "word " * 1000]) == [2, 3, 1002]


def test_the_states_of_a_texts_tokens_come_with_their_places_and_have_its_vector_as_mean(encoder: TextEncoder) -> None:
    text = "Überall rain, 1932."
    encoded = encoder.read([text])[0]
    words = [text[start:end] for start, end in encoded.offsets.tolist()]
    assert [word for word in words if word] == ["Über", "all", "rain", ",", "1932", "."]
    assert encoded.states.shape == (3, len(words), 384)
    mean = encoded.states[-1].mean(axis=0)
    assert np.allclose(encoded.vector, mean / np.linalg.norm(mean), atol=1e-5)
    assert np.allclose(encoded.vector, encoder.embed([text])[0], atol=1e-6)


def test_texts_that_are_read_together_stay_strangers_to_one_another(encoder: TextEncoder) -> None:
    texts = ["Rain fell.", "", "Who wrote it, and when?", LONG, "word " * 1000]
    together = encoder.read(texts)
    for one, (alone,) in zip(together, (encoder.read([text]) for text in texts), strict=True):
        assert np.array_equal(one.offsets, alone.offsets)
        assert np.allclose(one.states, alone.states, atol=1e-4)
        assert np.allclose(one.vector, alone.vector, atol=1e-6)


def test_nothing_read_is_nothing_found(encoder: TextEncoder) -> None:
    assert encoder.read([]) == []


def test_the_states_of_a_long_text_end_where_it_is_cut_off(encoder: TextEncoder) -> None:
    encoded = encoder.read(["word " * 1000])[0]
    assert (len(encoded.offsets), encoded.states.shape[1]) == (256, 256)


@given(st.text())
def test_any_text_has_a_finite_vector(encoder: TextEncoder, text: str) -> None:
    assert np.isfinite(encoder.embed([text, text + "\ud800"])).all()


def test_long_texts_are_computed_in_eight_bits_where_those_can_be_trusted(encoder: TextEncoder) -> None:
    graph: Any = encoder._encode
    assert isinstance(graph, sessions.BuiltGraph)
    ids = windows(encoder._ids(LONG), encoder.max_tokens)[0]
    exact, fast = graph.run(ids, exact=True), graph.run(ids, exact=False)
    assert exact @ fast >= 0.999
    assert np.array_equal(graph(ids), fast if graph.trusted else exact)


class Processor:
    """Stand in for one whose eight-bit arithmetic overflows, unless told how to avoid that (if that helps)."""

    def __init__(self, overflows: bool) -> None:
        self.overflows = overflows

    def run(self, _outputs: None, feeds: dict[str, Any]) -> list[Any]:
        right, wrong = [[1.0, 0.0]], [[0.0, 1.0]]
        return [np.array(wrong if self.overflows and not feeds["exact"] else right)]


@pytest.mark.parametrize("helps", [True, False])
def test_a_processor_that_overflows_is_found_out(monkeypatch: pytest.MonkeyPatch, helps: bool) -> None:
    def session(_path: Path, options: Any = None) -> Processor:
        return Processor(overflows=not (options and helps))

    monkeypatch.setattr(sessions, "open_graph", session)
    ids = np.arange(100)
    graph = sessions._most_trusted(Path(), "mean", ids)
    assert graph.trusted == helps
    assert graph(ids).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_another_bert_in_a_folder_gives_the_vectors_its_files_define(
    tmp_path: Path, weights: Weights, pooling: str
) -> None:
    checkpoint = read_checkpoint(write_model(tmp_path / "tiny", weights, pooling=pooling))
    encoder = TextEncoder(checkpoint, tmp_path / "cache")
    text = "Seven quick foxes."
    expected = states(weights, encoder._tokens(text))
    expected = expected[0] if pooling == "cls" else expected.mean(axis=0)
    assert encoder.embed([text])[0] @ expected / np.linalg.norm(expected) == pytest.approx(1, abs=1e-5)
    assert checkpoint.name.startswith("tiny@")
    assert encoder.max_tokens == 64


@pytest.mark.parametrize("harm", ["cut", "flip", "lose"])
def test_a_damaged_graph_in_the_cache_is_built_again(tmp_path: Path, tiny: Path, harm: str) -> None:
    cache = tmp_path / "cache"
    before = TextEncoder(read_checkpoint(tiny), cache).embed(["a cat"])
    (built,) = cache.iterdir()
    file = built / (GRAPH if harm == "lose" else WEIGHTS)
    whole = file.read_bytes()
    file.unlink()  # the running encoder has the old one mapped
    if harm != "lose":
        file.write_bytes(whole[:-1] + (b"" if harm == "cut" else bytes([whole[-1] ^ 1])))
    assert np.array_equal(TextEncoder(read_checkpoint(tiny), cache).embed(["a cat"]), before)
    assert [path.name for path in cache.iterdir()] == [built.name]
    assert file.read_bytes() == whole


def test_models_with_the_same_name_are_told_apart(tmp_path: Path) -> None:
    checkpoints = [read_checkpoint(write_model(tmp_path / str(n) / "tiny", random_weights(n))) for n in (1, 2)]
    assert checkpoints[0].name != checkpoints[1].name
    one, other = (TextEncoder(checkpoint, tmp_path / "cache").embed(["a cat"]) for checkpoint in checkpoints)
    assert not np.allclose(one, other)


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, tiny: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Misconfigured, match="cannot be kept in"):
        TextEncoder(read_checkpoint(tiny), tmp_path / "file" / "cache")


def test_other_weights_than_the_published_ones_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="not the file that was published"):
        TextEncoder(bundled()._replace(digest="0" * 64), tmp_path)


WRONG = {
    "config.json": (b'{"hidden_size": 32, "model_type": "roberta"}', "not that of a BERT encoder: see model_type"),
    "tokenizer.json": (b"{}", "cannot be read as a tokenizer"),
    "model.safetensors": (b"\xff" * 100, "cannot be read as the weights"),
    "modules.json": (b'[{"type": "sentence_transformers.models.Dense"}]', "ends in Dense"),
    "1_Pooling/config.json": (b'{"pooling_mode_max_tokens": true}', "pools by max"),
    "sentence_bert_config.json": (b"{", "is not JSON"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_a_folder_is_said(tmp_path: Path, tiny: Path, name: str) -> None:
    content, sentence = WRONG[name]
    (tiny / name).unlink(missing_ok=True)
    (tiny / name).write_bytes(content)
    with pytest.raises(Misconfigured, match=sentence):
        TextEncoder(read_checkpoint(tiny), tmp_path / "cache")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_file_that_is_missing_is_named(tiny: Path, name: str) -> None:
    (tiny / name).unlink()
    with pytest.raises(Misconfigured, match=name):
        read_checkpoint(tiny)


def test_weights_that_do_not_fit_their_configuration_are_refused(tmp_path: Path, weights: Weights) -> None:
    fewer = {name: value for name, value in weights.items() if "layer.1" not in name}
    with pytest.raises(Misconfigured, match=r"does not fit config\.json"):
        TextEncoder(read_checkpoint(write_model(tmp_path / "tiny", fewer)), tmp_path / "cache")


@pytest.mark.parametrize("output", ["last_hidden_state", "sentence_embedding"])
def test_a_ready_graph_is_run_as_it_is(tmp_path: Path, tiny: Path, weights: Weights, output: str) -> None:
    table = weights["embeddings.word_embeddings.weight"]
    graph = Graph()
    states = graph.add("Gather", graph.constant(table), "input_ids")
    if output == "sentence_embedding":
        states = graph.add("ReduceMax", states, graph.constant([1]), keepdims=0)
    model = graph.as_model({"input_ids": (TensorProto.INT64, ["batch", "tokens"])}, graph.add("Identity", states))
    model.graph.node[-1].output[0] = model.graph.output[0].name = output
    (tiny / "model.onnx").write_bytes(model.SerializeToString())
    encoder = TextEncoder(read_checkpoint(tiny), tmp_path / "cache")
    rows = table[encoder._tokens("a cat")]
    expected = rows.mean(axis=0) if output == "last_hidden_state" else rows.max(axis=0)
    assert encoder.embed(["a cat"])[0] @ expected / np.linalg.norm(expected) == pytest.approx(1, abs=1e-5)
    assert not (tmp_path / "cache").exists()


def test_a_ready_graph_that_does_not_run_is_refused(tmp_path: Path, tiny: Path) -> None:
    (tiny / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(Misconfigured, match="cannot be run"):
        TextEncoder(read_checkpoint(tiny), tmp_path / "cache")


@given(st.lists(st.floats(-1e3, 1e3, width=16), min_size=1, max_size=20), st.sampled_from(["F32", "F16", "BF16"]))
def test_numbers_of_every_width_are_read_by_their_names_inside_the_encoder(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[float], kind: str
) -> None:
    values = np.array(numbers, np.float16 if kind == "F16" else np.float32)
    stored = (values.view(np.uint32) >> 16).astype(np.uint16) if kind == "BF16" else values
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    name = "embeddings.word_embeddings.weight"
    write_safetensors(path, {"ids": np.zeros(3, np.int64), f"bert.{name}": stored}, {f"bert.{name}": kind})
    tensors = read_tensors(path)
    assert list(tensors) == [name]
    assert np.allclose(tensors[name], values.astype(np.float32), rtol=2**-7 if kind == "BF16" else 0)


@given(st.binary(max_size=200))
def test_any_other_file_is_no_weights(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(Misconfigured):
        read_tensors(path)
