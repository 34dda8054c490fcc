"""Git as a library: the plumbing of the `git` program, which runs nothing that a repository's own settings name.

The program and not a rewrite of it: only it speaks every transport and format, and it takes in large repositories fast.
No user's or system's settings are read, nothing is asked of a terminal, and only `fetch` reaches out, by HTTP(S).
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from kowai.errors import GitFailed, SourceMissing

SECONDS = 600.0
HEAD = "refs/kowai/head"
FILES = ("100644", "100755")  # neither links nor submodules

SAFE = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "LC_ALL": "C",
}
SETTINGS = {
    "safe.directory": "*",  # a repository may be another user's: none of what it says is run
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "protocol.allow": "never",
    "credential.helper": "",
    "gc.auto": "0",
}
FETCHING = {
    "protocol.https.allow": "always",
    "protocol.http.allow": "always",
    "http.followRedirects": "false",
    "http.proxy": "",
    "fetch.fsckObjects": "true",
}


class Change(NamedTuple):
    """Name a file in a tree by its path and the hash of its content; `blob` is None for one that is gone."""

    path: str
    blob: str | None


def run(folder: Path, *arguments: str, settings: dict[str, str] | None = None) -> bytes:
    """Return what git prints. Raises GitFailed, and SourceMissing where git or the repository is missing."""
    program = shutil.which("git")
    if program is None:
        raise SourceMissing("git is not installed on this machine: install it to read repositories.")
    options = [f"{name}={value}" for name, value in (SETTINGS | (settings or {})).items()]
    command = [program, "-C", str(folder), *(part for option in options for part in ("-c", option)), *arguments]
    environment = SAFE | {"PATH": os.environ.get("PATH", os.defpath), "HOME": os.devnull}
    try:
        done = subprocess.run(  # noqa: S603 -- no shell, and what comes from outside follows --end-of-options
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise GitFailed(f"git took longer than {SECONDS:g} seconds.", operator=arguments[0]) from error
    if done.returncode:
        told = done.stderr.decode(errors="replace").strip().splitlines() or [""]
        raise GitFailed(f"git {arguments[0]} failed: {told[-1][:300]}", operator="\n".join(told)[:2000])
    return done.stdout


def fetch(folder: Path, url: str, reference: str, settings: dict[str, str]) -> None:
    """Bring the newest commit of a branch, without its history, into a bare repository of our own."""
    if not (folder / "HEAD").exists():
        folder.mkdir(parents=True, exist_ok=True)
        run(folder, "init", "--quiet", "--bare")
    wanted = ("--no-tags", "--no-write-fetch-head", "--quiet", "--depth=1", "--end-of-options")
    run(folder, "fetch", *wanted, url, f"+{reference}:{HEAD}", settings=FETCHING | settings)


def home(folder: Path) -> Path:
    """Return where the repository that a folder belongs to really lies: maybe above it, or elsewhere by a link."""
    return Path(os.fsdecode(run(folder, "rev-parse", "--path-format=absolute", "--git-common-dir")).rstrip("\n"))


def commit_of(folder: Path, reference: str) -> str:
    shown = run(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{reference}^{{commit}}")
    return shown.decode().strip()


def knows(folder: Path, commit: str) -> bool:
    try:
        run(folder, "cat-file", "-e", f"{commit}^{{tree}}")
    except GitFailed:
        return False
    return True


def files(folder: Path, commit: str) -> Iterator[Change]:
    """Yield every file of a commit."""
    for entry in run(folder, "ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0")[:-1]:
        facts, _, path = entry.partition(b"\t")
        mode, _, blob = facts.decode().split(" ")
        if mode in FILES:
            yield Change(path.decode(errors="replace"), blob)


def changes(folder: Path, old: str, new: str) -> Iterator[Change]:
    """Yield the files that differ between two commits; one that is no file any more is gone."""
    shown = run(folder, "diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", old, new)
    parts = iter(shown.split(b"\0")[:-1])
    for facts, path in zip(parts, parts, strict=True):
        _, mode, _, blob, _ = facts.decode().split(" ")
        yield Change(path.decode(errors="replace"), blob if mode in FILES else None)


def size(folder: Path, blob: str) -> int:
    return int(run(folder, "cat-file", "-s", blob))


def content(folder: Path, blob: str) -> bytes:
    return run(folder, "cat-file", "blob", blob)
