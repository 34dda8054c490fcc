"""What worker and fork server say to each other: one JSON object per line over a pair of sockets."""

from typing import Literal, NamedTuple

READY, FORKED, ENDED = "ready", "forked", "ended"


class Job(NamedTuple):
    """Describe what a forked process becomes: a flow run, or the hooks of one that ended."""

    entrypoint: str
    environment: dict[str, str]
    folder: str
    quiet: bool
    hook: Literal["", "crashed", "cancellation"] = ""
    run: str = ""
    state: str = ""
