"""Where everything lies in the state directory, and that it can be written."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kowai.errors import CannotStart

if TYPE_CHECKING:  # pydantic costs a fifth of a second
    from kowai.settings import Settings

PRIVATE = ("secrets", "run", "logs", "bucket", "prefect")


class Layout(NamedTuple):
    """Name the places inside the state directory `root`, an absolute path."""

    root: Path

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def cluster(self) -> Path:
        return self.root / "postgres"

    @property
    def lock(self) -> Path:
        return self.root / "run" / "lock"

    @property
    def record(self) -> Path:
        return self.root / "run" / "state.json"

    @property
    def certificate(self) -> Path:
        return self.root / "run" / "certificate.pem"

    @property
    def worker_online(self) -> Path:
        return self.root / "run" / "worker-online"

    @property
    def demonstrated(self) -> Path:
        return self.root / "run" / "demonstrated"

    @property
    def greeted(self) -> Path:
        return self.root / "run" / "greeted"

    @property
    def database_lines(self) -> Path:
        """Where PostgreSQL's lines of JSON can be read beside the logs of the others: a link into the cluster."""
        return self.root / "logs" / "postgres.json"

    def log(self, name: str) -> Path:
        return self.root / "logs" / f"{name}.log"


def layout() -> Layout:
    """Return the layout of the state directory that the settings name."""
    return Layout(configured().state.expanduser().absolute())


def configured() -> "Settings":
    """Return the settings. Raises CannotStart when a variable's value makes no sense."""
    from pydantic import ValidationError

    from kowai.settings import settings

    try:
        return settings()
    except ValidationError as error:
        faults = "; ".join(f"KOWAI_{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors())
        raise CannotStart(f"The environment cannot be used: {faults}.") from None


def make_folders(place: Layout) -> None:
    """Make the state directory and its private folders (mode 0700). Raises CannotStart."""
    try:
        if not place.root.exists():
            place.root.mkdir(parents=True)
            place.root.chmod(0o700)
        for folder in (place.root / name for name in PRIVATE):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o700)
            _try_writing(folder)
    except OSError as error:
        raise CannotStart(
            f"The state directory {place.root} cannot be written ({error.strerror}: {error.filename}). "
            "Make it writable for you, or choose another: KOWAI_STATE=~/kowai kowai up"
        ) from error


def _try_writing(folder: Path) -> None:
    probe = folder / f".writable-{os.getpid()}"
    probe.write_bytes(b"")
    probe.unlink()
