"""What is cleared away and checked before anything is started."""

from collections.abc import Callable

from deployments.local import cluster, environment, os_user, ports, postgres, probes
from deployments.local.certificates import keep_certificate
from deployments.local.given_secrets import check_given_secrets
from deployments.local.layout import Layout
from deployments.local.record import find_process, read_record
from deployments.local.secret_files import ensure_secrets
from deployments.local.stopping import stop_process, stop_recorded
from kowai.errors import CannotStart
from kowai.settings import Settings


def prepare(place: Layout, settings: Settings, tell: Callable[[str], None]) -> None:
    """Clear what an earlier run left and see that this one can have what it needs. Raises CannotStart."""
    check_given_secrets(settings)
    for name in clear_leftovers(place):
        tell(f"Stopped {name}, which an earlier KowAI had left running.")
    embedded = settings.database_url is None
    found = cluster.inspect(place) if embedded else "absent"
    for name in ensure_secrets(place.secrets, database_exists=found == "complete"):
        tell(f"The secret {place.secrets / name} could be read by others; now only you can.")
    if embedded:
        prepare_database_files(place, tell)
    keep_certificate(place, settings)
    check_ports(settings)
    check_own_prefect(place, settings)


def clear_leftovers(place: Layout) -> list[str]:
    """Stop processes of a run that was killed, recognised by pid and birth; return their names."""
    record = read_record(place.record)
    names = stop_recorded(record) if record else []
    server = postgres.leftover(place.cluster)
    process = find_process(*server) if server else None
    if process is not None and process.name() == "postgres":
        stop_process(process, postgres.FAST)
        names.append("postgres")
    return names


def prepare_database_files(place: Layout, tell: Callable[[str], None]) -> None:
    user = os_user.database_user()
    for sentence in cluster.heal(place):
        tell(sentence)
    for folder in os_user.open_way((place.cluster, cluster.binaries() / "postgres"), user):
        if folder != place.root:
            tell(f"PostgreSQL runs as the user '{user}', so others may now pass through {folder}, but not list it.")
    os_user.open_programs(cluster.binaries().parent, user)


def check_ports(settings: Settings) -> None:
    """Raise CannotStart unless the shim and the Prefect server can have their ports."""
    if settings.port == settings.prefect_port:
        raise CannotStart(f"KOWAI_PORT and KOWAI_PREFECT_PORT are both {settings.port}: choose two.")
    ports.require_free(settings.host, settings.port, "KOWAI_PORT")
    if environment.own_prefect(settings) is None:
        ports.require_free("127.0.0.1", settings.prefect_port, "KOWAI_PREFECT_PORT")


def check_own_prefect(place: Layout, settings: Settings) -> None:
    url = environment.own_prefect(settings)
    if url and probes.status_of(f"{url}/health", environment.prefect_headers(place, settings)) is None:
        raise CannotStart(f"Nobody answers at PREFECT_API_URL={url}. Start that server, or unset the variable.")
