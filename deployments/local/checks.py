"""All that `kowai doctor` looks at, in the order in which one would fix it."""

from collections.abc import Iterator

from deployments.local import computer_checks, running_checks
from deployments.local.findings import Finding
from deployments.local.layout import Layout
from deployments.local.lock import is_held
from deployments.local.record import read_record
from kowai.settings import Settings


def examine(place: Layout, settings: Settings) -> Iterator[Finding]:
    """Yield one finding after the other; nothing is changed."""
    record = read_record(place.record) if is_held(place.lock) else None
    yield computer_checks.check_python()
    yield computer_checks.check_disk(place)
    yield computer_checks.check_state(place)
    yield from computer_checks.check_secrets(place)
    yield from computer_checks.check_ports(settings, record)
    yield computer_checks.check_weights()
    yield from computer_checks.check_startup_files()
    if record is None:
        yield running_checks.not_running()
        return
    yield from running_checks.check_processes(place, settings)
    yield from running_checks.check_database(place, settings)
    yield from running_checks.check_prefect(place, settings)
