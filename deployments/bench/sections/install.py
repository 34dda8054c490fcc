"""From `make up` in a fresh copy of the code, nothing installed and nothing cached, to the first cited answer."""

import shutil
from collections.abc import Iterator

from deployments.bench.figures import Figure
from deployments.bench.ground import Ground, started
from deployments.bench.sections import Section
from deployments.local.environment import CODE
from kowai.errors import CannotStart

LEFT_BEHIND = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info")


def measure(ground: Ground) -> Iterator[Figure]:
    if not (CODE / "Makefile").exists():
        raise CannotStart("Only a checkout of KowAI, with its Makefile, can measure its own installation.")
    folder = ground.folder / "install"
    shutil.copytree(CODE, folder / "code", ignore=LEFT_BEHIND)
    variables = {"UV_CACHE_DIR": str(folder / "cache"), "PIP_NO_CACHE_DIR": "1"}
    with started(folder / "state", "make", "-C", str(folder / "code"), "up", **variables) as first:
        yield Figure("make up to cited answer, empty cache", first.seconds_to_answer, "s")


section = Section("Install from nothing; needs the package index.", measure, order=0, unasked=False)
