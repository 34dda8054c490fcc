import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REAL = ("make", "sh", "echo", "test", "touch", "rm")
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a folder with what make looks at, and a PATH that holds no Python."""
    for name in ("Makefile", "pyproject.toml", "requirements-uv.lock", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "bin").mkdir()
    for name in REAL:
        if found := shutil.which(name):
            (tmp_path / "bin" / name).symlink_to(found)
    return tmp_path


def make(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(checkout / "bin"), "HOME": os.environ.get("HOME", "/")}
    return subprocess.run(["make", *arguments], cwd=checkout, env=environment, capture_output=True, text=True)


def provide(checkout: Path, name: str, *, suitable: bool) -> None:
    script = checkout / "bin" / name
    script.write_text(f"#!/bin/sh\nexit {0 if suitable else 1}\n")
    script.chmod(0o755)


def test_no_suitable_python_is_one_clear_sentence(checkout: Path) -> None:
    provide(checkout, "python3", suitable=False)
    refused = make(checkout, "up")
    assert refused.returncode
    assert "KowAI needs Python 3.11, 3.12 or 3.13, and none is on the PATH." in refused.stdout
    assert not (checkout / ".venv").exists()


def test_another_python_is_taken_when_python3_is_too_old_or_too_new(checkout: Path) -> None:
    provide(checkout, "python3", suitable=False)
    provide(checkout, "python3.12", suitable=True)
    assert "python3.12 -m venv .venv" in make(checkout, "-n", "up").stdout


def test_every_package_is_installed_by_hash(checkout: Path) -> None:
    provide(checkout, "python3", suitable=True)
    for target, lock in (("up", "requirements.lock"), ("test", "requirements-dev.lock")):
        steps = make(checkout, "-n", target).stdout
        assert f"--require-hashes {lock}" in steps
        assert "pip install --quiet --require-hashes -r requirements-uv.lock" in steps
        assert "install --no-deps --no-build-isolation -e ." in steps


def test_nothing_is_installed_again_while_the_locks_stay_as_they_are(checkout: Path) -> None:
    provide(checkout, "python3", suitable=True)
    (checkout / ".venv").mkdir()
    for stamp in (".made", ".installed", ".installed-dev"):
        (checkout / ".venv" / stamp).touch()
    for target in ("up", "test"):
        assert "pip" not in make(checkout, "-n", target).stdout
    later = (checkout / ".venv" / ".installed").stat().st_mtime + 10
    os.utime(checkout / "requirements.lock", (later, later))
    assert "requirements.lock" in make(checkout, "-n", "up").stdout
