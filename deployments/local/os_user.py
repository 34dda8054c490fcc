"""Whom PostgreSQL runs as: it refuses root, so root lends it a user that owns nothing else."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from kowai.errors import CannotStart

NAME = "pgserver"


def database_user() -> str | None:
    """Return the OS user PostgreSQL must run as, made if need be; None is whoever runs KowAI. Raises CannotStart."""
    if os.geteuid() != 0:
        return None
    if not _exists():
        _make()
    return NAME


def own_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise CannotStart(
            f"PostgreSQL needs a named OS user, and user id {os.geteuid()} has none. "
            "Give it one in /etc/passwd, or point KOWAI_DATABASE_URL at your own PostgreSQL."
        ) from None


def give(path: Path, user: str | None) -> None:
    """Hand a path to the database's user; without one it is ours already."""
    if user is not None:
        entry = pwd.getpwnam(user)
        os.chown(path, entry.pw_uid, entry.pw_gid)


def open_way(folders: Iterable[Path], user: str | None) -> list[Path]:
    """Let the database's user pass through (never list) what lies above `folders`; return what was opened for it."""
    above = {parent for folder in folders for parent in folder.parents} if user else set[Path]()
    closed = sorted(folder for folder in above if not folder.stat().st_mode & 0o001)
    for folder in closed:
        folder.chmod(folder.stat().st_mode | 0o001)
    return closed


def open_programs(folder: Path, user: str | None) -> None:
    """Let the database's user read and run what a strict umask kept to root."""
    if user is None or (folder / "bin" / "postgres").stat().st_mode & 0o001:
        return
    for path in (folder, *folder.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(mode | 0o004 | (0o001 if mode & 0o100 else 0))


def _exists() -> bool:
    try:
        return bool(pwd.getpwnam(NAME))
    except KeyError:
        return False


def _make() -> None:
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    made = useradd and subprocess.run([useradd, "--system", "--no-create-home", NAME], capture_output=True)  # noqa: S603
    if not made or made.returncode:
        raise CannotStart(
            f"PostgreSQL refuses to run as root, and the OS user '{NAME}' could not be made. Add that user, "
            "run KowAI as an ordinary user, or point KOWAI_DATABASE_URL at your own PostgreSQL."
        )
