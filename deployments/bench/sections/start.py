"""How long a start takes: the first one to its cited answer, later ones until questions can be asked."""

from collections.abc import Iterator

from deployments.bench.figures import Figure, median
from deployments.bench.ground import KOWAI_UP, Ground, Running, started
from deployments.bench.sections import Section


def measure(ground: Ground) -> Iterator[Figure]:
    states = [ground.folder / f"start-{number}" for number in range(ground.runs)]
    cold = [_once(ground, state.name) for state in states]
    yield median("first cited answer, empty state", [first.seconds_to_answer for first in cold], "s", "<= 60")
    warm = [_once(ground, states[0].name, "--bare") for _ in states]
    yield median("warm start to ready", [again.seconds_to_ready for again in warm], "s", "<= 15")


def _once(ground: Ground, name: str, *arguments: str) -> Running:
    with started(ground.folder / name, *KOWAI_UP, *arguments) as running:
        return running


section = Section("First cited answer on an empty state; warm start.", measure, order=1)
