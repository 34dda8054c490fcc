"""What the children find in their environment, and what of the user's own is kept from them."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING

from deployments.local.layout import Layout
from deployments.local.secret_files import read_secret

if TYPE_CHECKING:  # pydantic costs a fifth of a second
    from kowai.settings import Settings

CODE = Path(__file__).parents[2]
LOOPBACK = "127.0.0.1,localhost"
# Taken out of the user's environment: they would point our own server's clients elsewhere.
CLOUD = ("PREFECT_PROFILE", "PREFECT_API_KEY", "PREFECT_API_AUTH_STRING", "PREFECT_API_URL")
DATABASES = ("KOWAI_DATABASE_URL", "KOWAI_APP_DATABASE_URL")  # each child is given the one it may use
QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLI_PROMPT": "false",
    "PREFECT_LOGGING_COLORS": "false",
    "LITELLM_LOCAL_MODEL_COST_MAP": "true",
    "PYTHONUNBUFFERED": "1",
}
LEAN = {"MALLOC_ARENA_MAX": "2"}  # glibc keeps a heap for every thread otherwise, eight times the cores
# Prefect's logging, which is uvicorn's too, reads settings from the environment (its logging/logging.yml).
OUR_LINES = {
    "PREFECT_LOGGING_FORMATTERS_JSON_CLASS": "deployments.logs.Lines",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_FORMATTER": "json",
    "PREFECT_LOGGING_HANDLERS_DEBUG_FORMATTER": "json",
}

DAY_SECONDS = 86_400
# Prefect's own vacuum forgets events alone; "flow_runs" takes finished runs with their task runs, logs and artifacts.
RETENTION = {
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(30 * DAY_SECONDS),
}
# Prefect's default writes each task run in a transaction of its own, and events by twenties; a second is seldom waited.
BATCHES = {
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "100",
}
# Off by Prefect's default: without them its stream of logs is open and silent.
STREAMS = {
    "PREFECT_SERVER_LOGS_STREAM_OUT_ENABLED": "true",
    "PREFECT_SERVER_LOGS_STREAM_PUBLISHING_ENABLED": "true",
}


def embedded_prefect_url(settings: Settings) -> str:
    return f"http://127.0.0.1:{settings.prefect_port}/api"


def shim_url(settings: Settings) -> str:
    """Return where this computer reaches the shim, also when it listens on every address."""
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104
    scheme = "http" if settings.tls_certificate is None else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{settings.port}"


def own_prefect(settings: Settings) -> str | None:
    """Return the URL of the user's own Prefect server; an exported URL of ours does not make it theirs."""
    url = os.environ.get("PREFECT_API_URL", "").rstrip("/")
    ours = {embedded_prefect_url(settings), embedded_prefect_url(settings).replace("127.0.0.1", "localhost")}
    return url if url and url not in ours else None


def prefect_headers(place: Layout, settings: Settings) -> dict[str, str]:
    """Return how to identify oneself to the Prefect API in use: a key, 'user:password', or nothing."""
    own = own_prefect(settings) is not None
    key, auth = os.environ.get("PREFECT_API_KEY"), os.environ.get("PREFECT_API_AUTH_STRING")
    if own and key:
        return {"Authorization": f"Bearer {key}"}
    pair = auth if own else read_secret(place.secrets, "prefect-auth")
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"} if pair else {}


def shared(place: Layout, settings: Settings) -> dict[str, str]:
    """Return what every child of ours needs: where state, code and the Prefect API are."""
    embedded = own_prefect(settings) is None
    hidden = (*(CLOUD if embedded else ()), *DATABASES)
    inherited = {name: value for name, value in os.environ.items() if name not in hidden}
    if settings.database_url is None:  # PGPORT and its like would bend the way to the embedded server
        inherited = {name: value for name, value in inherited.items() if not name.startswith("PG")}
    path = os.pathsep.join(filter(None, (str(CODE), os.environ.get("PYTHONPATH"))))
    proxies = ",".join(filter(None, (os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), LOOPBACK)))
    ours = {"KOWAI_STATE": str(place.root), "KOWAI_HOST": settings.host, "KOWAI_PORT": str(settings.port)}
    ours |= {"PREFECT_HOME": str(place.root / "prefect"), "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}
    ours |= {"NO_PROXY": proxies, "no_proxy": proxies, "KOWAI_PREFECT_PORT": str(settings.prefect_port)}
    lines = OUR_LINES if settings.log_format == "json" else {}
    return LEAN | lines | inherited | QUIET | ours | (_embedded_client(place, settings) if embedded else {})


def application(place: Layout, settings: Settings) -> dict[str, str]:
    """Return the environment of worker and shim: they enter the database as the application, never as its owner."""
    own = own_application_url(settings)
    return shared(place, settings) | {"KOWAI_APP_DATABASE_URL": own or read_secret(place.secrets, "app-database-url")}


def own_application_url(settings: Settings) -> str | None:
    """Return how the application enters the user's own database; one exported for the embedded server means nothing."""
    if settings.database_url is None or settings.app_database_url is None:
        return None
    return settings.app_database_url.get_secret_value()


def owner(place: Layout, settings: Settings, url: str) -> dict[str, str]:
    own = own_application_url(settings)
    given = {"KOWAI_APP_DATABASE_URL": own} if own else {}
    return shared(place, settings) | {"KOWAI_DATABASE_URL": url} | given


def prefect_server(place: Layout, settings: Settings) -> dict[str, str]:
    """Return the environment of the embedded Prefect server; how long it keeps runs the user may say otherwise."""
    server = {"HOST": "127.0.0.1", "PORT": str(settings.prefect_port)}
    server["AUTH_STRING"] = read_secret(place.secrets, "prefect-auth")
    named = {f"PREFECT_SERVER_API_{name}": value for name, value in server.items()}
    return RETENTION | BATCHES | STREAMS | shared(place, settings) | named | {"PREFECT__SERVER_FINAL": "1"}


def bare() -> dict[str, str]:
    """Return the environment of PostgreSQL's own programs."""
    return {name: value for name in ("PATH", "TZ", "TMPDIR") if (value := os.environ.get(name))} | {"LC_ALL": "C"}


def code_only() -> dict[str, str]:
    return bare() | {"PYTHONPATH": str(CODE), "PYTHONSAFEPATH": "1"}


def _embedded_client(place: Layout, settings: Settings) -> dict[str, str]:
    auth = read_secret(place.secrets, "prefect-auth")
    return {"PREFECT_API_URL": embedded_prefect_url(settings), "PREFECT_API_AUTH_STRING": auth}
