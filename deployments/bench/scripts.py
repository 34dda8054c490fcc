"""The side-by-side measurements of benchmarks/: run as they are by hand, their JSON read."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from deployments.local.environment import CODE
from kowai.errors import CannotStart


def figures_of(script: str, *arguments: str, cache: bool = False) -> dict[str, Any]:
    """Run a script of benchmarks/ and return what it wrote. Raises CannotStart where there is none, or it fails.

    With `cache`, the script keeps what it has embedded where the next run does not find it.
    """
    if not (CODE / "benchmarks" / f"{script}.py").exists():
        raise CannotStart(f"Only a checkout of KowAI, with its benchmarks/{script}.py, can measure this.")
    with tempfile.TemporaryDirectory(prefix="kowai-bench-") as folder:
        written = Path(folder) / "figures.json"
        command = [sys.executable, "-m", f"benchmarks.{script}", *arguments, "--json", str(written)]
        command += ["--cache", folder] if cache else []
        ended = subprocess.run(command, cwd=CODE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)  # noqa: S603
        if ended.returncode:
            said = ended.stderr.strip().splitlines()
            raise CannotStart(f"benchmarks/{script}.py failed: {said[-1] if said else 'it said nothing'}")
        return json.loads(written.read_text())
