"""The npm packages that tests use: installed from the lock file into a cache, once for each state of it."""

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.barrier import OUTSIDE

SOURCES = Path(__file__).parent / "node"
CACHE = Path.home() / ".cache" / "kowai-tests"


def installed() -> Path:
    """Return a folder with the sources of tests/node and their node_modules; fail in a sentence without Node.js."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.fail("These tests need Node.js 20.15 or newer with npm; leave them out by -m 'not node'.")
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(SOURCES.iterdir()))).hexdigest()[:16]
    folder = CACHE / digest
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{digest}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / ".installed").exists():
            shutil.copytree(SOURCES, folder, dirs_exist_ok=True)
            command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
            ran = subprocess.run(command, cwd=folder, env=OUTSIDE, capture_output=True, text=True, timeout=240)
            assert ran.returncode == 0, ran.stdout + ran.stderr
            (folder / ".installed").touch()
    return folder
