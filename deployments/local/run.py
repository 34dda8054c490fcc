"""One run of the stack, from the lock to the last process stopped."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version

from deployments.local.ahead import forerunner
from deployments.local.display import display
from deployments.local.environment import shim_url
from deployments.local.guardian import guarded
from deployments.local.layout import Layout, make_folders
from deployments.local.lock import held
from deployments.local.preparation import prepare
from deployments.local.signals import StopRequests, stop_requests
from deployments.local.stack import children
from deployments.local.supervisor import TICK_SECONDS, Supervisor
from deployments.local.welcome import demonstrate, greet
from kowai.errors import CannotStart
from kowai.settings import Settings

LIMIT_SECONDS = 180.0


def run(place: Layout, settings: Settings, *, bare: bool, detached: bool = False) -> None:
    """Start everything, stay until told to stop, stop everything. Raises CannotStart."""
    make_folders(place)
    with held(place.lock), stop_requests() as requests:
        shown = display()
        prepare(place, settings, shown.tell)
        wanted = children(place, settings)
        supervisor = Supervisor(wanted, place, shown)
        supervisor.record.version, supervisor.record.url = kowai_version(), shim_url(settings)
        supervisor.enter("starting")
        with guarded(place), stopped_afterwards(supervisor, requests):
            shown.begin(supervisor.members)
            try:
                with forerunner(place, settings, wanted) as supervisor.ahead:
                    started = supervisor.start_all(requests.wanted, LIMIT_SECONDS)
            finally:
                shown.end()

            def keep_going() -> bool:
                supervisor.tick()
                return not requests.wanted()

            if started and not bare:
                demonstrate(place, settings, keep_going)
            if started and keep_going():
                if not detached:
                    greet(place, settings)
                supervisor.enter("ready")
            while keep_going():
                time.sleep(TICK_SECONDS)


@contextmanager
def stopped_afterwards(supervisor: Supervisor, requests: StopRequests) -> Generator[None]:
    """Stop the members when the block ends, and write down how it ended."""
    failure: CannotStart | None = None
    try:
        yield
    except CannotStart as error:
        failure = error
        raise
    finally:
        supervisor.enter("stopping", failure.sentence if failure else None)
        supervisor.stop_all(requests.hurried)
        supervisor.enter("failed" if failure else "stopped", failure.sentence if failure else None)


def kowai_version() -> str:
    try:
        return version("kowai")
    except PackageNotFoundError:
        return "unknown"
