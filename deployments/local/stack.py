"""Which processes make up KowAI on one computer, and what each waits for."""

import sys
from collections.abc import Callable
from functools import partial

from deployments.local import cluster, environment, postgres, probes
from deployments.local.certificates import tls_arguments
from deployments.local.layout import Layout
from deployments.local.os_user import database_user
from deployments.local.processes import Child
from kowai.settings import Settings

DRAIN_SECONDS = 10
QUIET_UVICORN = ("--no-access-log", "--no-server-header", "--timeout-graceful-shutdown", str(DRAIN_SECONDS))


def children(place: Layout, settings: Settings) -> list[Child]:
    """Return the processes to run, each after those it depends on; what the user brings along is left out."""
    database = [schema(place, settings)]
    if settings.database_url is None:
        database = [*embedded_database(place, as_json=settings.log_format == "json"), *database]
    prefect = [] if environment.own_prefect(settings) else [prefect_server(place, settings)]
    return [*model(place, settings), *database, *prefect, worker(place, settings), shim(place, settings)]


def model(place: Layout, settings: Settings) -> list[Child]:
    """Return what builds the embedding model, on a state directory that has none."""
    if settings.models.exists():
        return []
    return [Child("model", python("deployments.local.model"), partial(environment.shared, place, settings), once=True)]


def embedded_database(place: Layout, *, as_json: bool = True) -> list[Child]:
    """Return PostgreSQL, and before it initdb when there is no data yet."""
    user = database_user()
    server = Child(
        "postgres",
        postgres.command(place.cluster, as_json=as_json),
        environment.bare,
        is_ready=partial(postgres.is_ready, place.cluster),
        after=("initdb",),
        user=user,
        stop_signal=postgres.FAST,
        prepare=partial(postgres.prepare, place),
        lines=place.database_lines if as_json else None,
    )
    if cluster.inspect(place) == "complete":
        return [server]
    make = python("deployments.local.cluster", str(place.root))
    return [Child("initdb", make, environment.code_only, once=True), server]


def schema(place: Layout, settings: Settings) -> Child:
    own = settings.database_url
    url = own.get_secret_value() if own else postgres.owner_url(place.cluster)
    surroundings = partial(environment.owner, place, settings, url)
    return Child("schema", python("deployments.local.schema"), surroundings, after=("postgres",), once=True)


def prefect_server(place: Layout, settings: Settings) -> Child:
    """Return the Prefect server with its UI, half a second sooner than `prefect server start` would."""
    url = environment.embedded_prefect_url(settings)
    where = ("--host", "127.0.0.1", "--port", str(settings.prefect_port), "--log-level", "warning")
    return Child(
        "prefect",
        python("uvicorn", "--factory", "deployments.local.prefect_app:create_app", *where, *QUIET_UVICORN),
        partial(environment.prefect_server, place, settings),
        is_ready=whoever(partial(probes.answers, f"{url}/health", environment.prefect_headers(place, settings))),
        url=url.removesuffix("/api"),
        port=settings.prefect_port,
        shares=0,
    )


def worker(place: Layout, settings: Settings) -> Child:
    return Child(
        "worker",
        python("deployments.worker"),
        partial(environment.application, place, settings),
        is_ready=whoever(place.worker_online.exists),
        after=("schema", "prefect"),
        prepare=partial(place.worker_online.unlink, missing_ok=True),
        shares=1,
    )


def shim(place: Layout, settings: Settings) -> Child:
    url = environment.shim_url(settings)
    where = ("--host", settings.host, "--port", str(settings.port), *tls_arguments(settings))
    return Child(
        "shim",
        python("uvicorn", "deployments.shim.app:app", *where, *QUIET_UVICORN),
        partial(environment.application, place, settings),
        is_ready=whoever(partial(probes.answers, f"{url}/ready", trusted=place.certificate)),
        after=("schema", "model"),
        url=url,
        port=settings.port,
        shares=1,
    )


def whoever(check: Callable[[], bool]) -> Callable[[int], bool]:
    """Return a check that does not care which process it looks at."""
    return lambda _: check()


def python(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *arguments)
