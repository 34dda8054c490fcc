"""Secrets of this state directory: one file each, mode 0600, made once, never printed."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from kowai.errors import CannotStart
from kowai.keys import format_key


def new_api_key() -> str:
    return format_key(uuid4(), secrets.token_urlsafe(32))


MAKERS: dict[str, Callable[[], str]] = {
    "api-key": new_api_key,
    "prefect-auth": lambda: f"admin:{secrets.token_urlsafe(24)}",
    "token-key": lambda: secrets.token_urlsafe(48),
    "app-database-password": lambda: secrets.token_urlsafe(24),
}


def ensure_secrets(folder: Path, *, database_exists: bool) -> list[str]:
    """Make every secret that is missing; return the names of those that others could read. Raises CannotStart."""
    if database_exists and not (folder / "api-key").exists():
        raise CannotStart(
            f"There is a database, but its key {folder / 'api-key'} is gone. Put the file back from a backup; "
            f"or, to start empty, move {folder.parent} away. Nothing was changed."
        )
    for name, make in MAKERS.items():
        if not (folder / name).exists():
            write_secret(folder / name, make())
        elif not (folder / name).read_text().strip():
            raise CannotStart(f"The secret {folder / name} is empty: put it back from a backup. Nothing was changed.")
    return [name for name in MAKERS if _narrow(folder / name)]


def write_secret(path: Path, value: str) -> None:
    """Write `path` whole or not at all, readable by its owner only from the first moment."""
    draft = path.with_name(f".{path.name}-{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(value + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)


def read_secret(folder: Path, name: str) -> str:
    """Return a secret. Raises CannotStart when it has not been made yet."""
    try:
        return (folder / name).read_text().strip()
    except FileNotFoundError:
        raise CannotStart(f"There is no secret {folder / name} yet: run `kowai up` first.") from None


def _narrow(path: Path) -> bool:
    too_open = bool(path.stat().st_mode & 0o077)
    if too_open:
        path.chmod(0o600)
    return too_open
