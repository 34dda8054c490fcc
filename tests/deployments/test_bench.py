"""The benchmark takes the sections it is asked for, and says what it could not measure."""

import json
import subprocess
import sys

import pytest

from benchmarks import table
from deployments.bench import peers
from deployments.bench.figures import Figure, as_json, machine, median
from deployments.bench.ground import generated_texts
from deployments.bench.run import chosen
from deployments.bench.sections import sections
from kowai.chunking import chunk
from kowai.errors import InvalidInput
from kowai.types import LoadedDocument


def test_sections_run_in_their_order_and_only_those_that_are_named() -> None:
    known = sections()
    assert chosen("memory, start") == [known["start"], known["memory"]]


def test_what_needs_the_network_is_left_out_unless_it_is_named() -> None:
    known = sections()
    assert known["install"] not in chosen("")
    assert chosen("install") == [known["install"]]


def test_an_unknown_section_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidInput, match=r"'speed'.*chat"):
        chosen("chat,speed")


def test_the_command_says_so_without_starting_anything() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "deployments.cli", "bench", "--only", "speed"], capture_output=True, text=True
    )
    assert run.returncode == 1
    assert run.stderr.startswith("kowai: There is no section 'speed'")


def test_a_measurement_that_failed_is_unknown_and_not_nothing() -> None:
    assert median("x", [None, 3.0, 1.0, 2.0], "s") == Figure("x", 2.0, "s", "", 3, 1.0, 3.0)
    assert "unknown" in str(median("x", [None], "s"))
    assert json.loads(as_json([median("x", [None], "s")], machine()))["rows"][0]["value"] is None


def test_the_generated_documents_are_the_same_every_time_and_fill_one_chunk_each() -> None:
    texts = list(generated_texts(30))
    assert texts == list(generated_texts(30))
    assert [len(chunk(LoadedDocument(text=text, media_type="text/plain"))) for text in texts] == [1] * 30


def test_every_published_figure_names_its_source() -> None:
    quoted = [peer for peer in vars(peers).values() if isinstance(peer, peers.Peer)]
    assert quoted
    assert all(peer.figure and peer.source.startswith("https://") for peer in quoted)


def test_the_readme_table_is_made_of_the_file_alone() -> None:
    figures = [median("memory", [1.1, 0.9, 1.0], "GB", "<= 1.2", peers.MEMORY), Figure("rate", None, "1/s")]
    rows = table.table(json.loads(as_json(figures, machine())))
    assert "| memory | 1 GB | 0.9 to 1.1 | <= 1.2 | least memory asked for: Onyx" in rows
    assert "| rate | unknown |" in rows
    text = f"before\n{table.BEGIN}old\n{table.END}after\n"
    assert table.placed(text, rows) == f"before\n{table.BEGIN}{rows}{table.END}after\n"
    with pytest.raises(ValueError, match="no marks"):
        table.placed("nothing", rows)


def test_the_readme_shows_the_figures_that_are_committed_and_no_others() -> None:
    readme = table.README.read_text()
    rows = table.table(json.loads(table.FIGURES.read_text()))
    assert table.placed(readme, rows) == readme, "run python -m benchmarks.table"


def test_a_hundred_thousand_chunks_are_searched_only_when_asked_for() -> None:
    known = sections()
    assert known["search"] in chosen("")
    assert known["search-100k"] not in chosen("")
